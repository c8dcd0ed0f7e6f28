#pragma once
/* The library replaces functions of the C library, which call the functions below. */

/* Whether this call with this path must fail; errno is set then. */
int fault_at(const char *path);

/* Kills the process if CRASH_AT selects this call. */
void crash_point(void);

/* Writes the journal: a change that follows, or a sync that has succeeded. */
void crash_note(const char *what, const char *path, const char *from);

/* Writes a call down for a test that examines the sequence of calls. */
void note_call(const char *what, const char *path, const char *from);
