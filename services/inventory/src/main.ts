/**
 * The inventory service.
 */
import * as Http from "@ecommerce/chassis/Http"
import * as Service from "@ecommerce/chassis/Service"
import { inventory, InventoryApi } from "@ecommerce/contracts/Inventory"
import { Layer } from "effect"

import * as Handlers from "./Http.ts"

Service.run({ place: inventory, routes: Http.routes(InventoryApi).pipe(Layer.provide(Handlers.layer)) })
