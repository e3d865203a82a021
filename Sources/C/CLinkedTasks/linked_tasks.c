#include "linked_tasks.h"
