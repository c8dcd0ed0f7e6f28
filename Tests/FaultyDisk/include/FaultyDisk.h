#pragma once
/* Its functions are the C library's, for whoever preloads this; below is what they ask. */

/* Whether the call that touches this file is to fail; errno is set then. */
int fault_at(const char *path);

/* Here the process may end. */
void crash_point(void);

/* What is about to be changed, or was just made to last. */
void crash_note(const char *what, const char *path, const char *from);
