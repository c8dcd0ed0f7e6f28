#pragma once

/* What it does is in FaultyDisk.c; nothing is called by name. */
