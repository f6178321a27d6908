-- One row an order, whatever became of it: the stock is held for it, was refused, or was given back. A RELEASED row of
-- an order that was never reserved is a tombstone: its reservation, should it still arrive, is refused for good.
CREATE TABLE reservations (
  order_id uuid PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('RESERVED', 'REFUSED', 'RELEASED')),
  digest text,
  refusal jsonb,
  version integer NOT NULL DEFAULT 1 CHECK (version > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT refused_for_a_reason CHECK ((state = 'REFUSED') = (refusal IS NOT NULL))
);

-- What was held for an order; kept when it is released, because the release's answer is made of it.
CREATE TABLE reservation_items (
  order_id uuid NOT NULL REFERENCES reservations (order_id),
  product_id uuid NOT NULL REFERENCES products (id),
  quantity bigint NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, product_id)
);
