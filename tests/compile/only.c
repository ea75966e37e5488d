/* A file that only includes the header, as most files do: what does it leave behind? */
#include "async.h"
