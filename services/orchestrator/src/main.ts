/**
 * The orchestrator.
 */
import * as Service from "@ecommerce/chassis/Service"

import { definition } from "./Http.ts"

Service.run(definition)
