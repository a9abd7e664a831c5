/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind networks.def: each appends its layers to an empty network. */
#ifndef VECQ_ZOO_NETWORKS_H
#define VECQ_ZOO_NETWORKS_H

struct vecq_layers;

#define NETWORK(symbol, ...) void vecq_network_##symbol(struct vecq_layers *l);
#include "zoo/networks.def"
#undef NETWORK

#endif
