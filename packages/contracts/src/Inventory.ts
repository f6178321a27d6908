/**
 * What inventory offers: the catalogue of products, their stock, and a look at reservations.
 */
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { HttpApi, OpenApi } from "effect/http-api"

import { productsGroup } from "./Inventory/Products.ts"
import { commandsGroup, reservationsGroup } from "./Inventory/Reservations.ts"
import { stockGroup } from "./Inventory/Stock.ts"

export const inventory: Place = { name: "inventory", port: 3001 }

export class InventoryApi extends HttpApi.make("inventory")
  .add(productsGroup)
  .add(stockGroup)
  .add(reservationsGroup)
  .add(commandsGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Inventory", version: "0.1.0", description: "Products, stock and reservations." })
  ) {}
