/**
 * The whole stack on one page: every service, in the order of its start. They stop in the reverse order.
 *
 * A service's program is `services/<name>/src/main.ts`, its tables are made by `migrations/<name>/`.
 */
import { edge } from "@ecommerce/contracts/Edge"
import { inventory } from "@ecommerce/contracts/Inventory"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { orders } from "@ecommerce/contracts/Orders"
import { payment } from "@ecommerce/contracts/Payment"
import type { Place } from "@ecommerce/protocol/Place"

export const topology: ReadonlyArray<Place> = [inventory, payment, orders, orchestrator, edge]
