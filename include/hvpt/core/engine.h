/*
 * The engine, whole. A format header includes this and nothing else of core/.
 */
#ifndef HVPT_CORE_ENGINE_H
#define HVPT_CORE_ENGINE_H

#include "adopt.h"
#include "batch.h"
#include "collapse.h"
#include "fault_map.h"
#include "leaves.h"
#include "lifecycle.h"
#include "log.h"
#include "map.h"
#include "no_join.h"
#include "protect.h"
#include "replace.h"
#include "reserve.h"
#include "split.h"
#include "traverse.h"
#include "translate.h"
#include "unmap.h"
#include "walk.h"

#endif
