/*
 * The engine, whole. A format header includes this and nothing else of core/.
 */
#ifndef HVPT_CORE_ENGINE_H
#define HVPT_CORE_ENGINE_H

#include "lifecycle.h"
#include "map.h"
#include "protect.h"
#include "translate.h"
#include "unmap.h"
#include "walk.h"

#endif
