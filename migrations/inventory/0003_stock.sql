-- Every change of stock leaves a row here; a product's stock is the sum of them. Wider than what a request may ask for:
-- what is given back must always fit, however much was added while it was held.
CREATE TABLE stock_adjustments (
  id uuid PRIMARY KEY,
  product_id uuid NOT NULL REFERENCES products (id),
  product_version bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('initial', 'manual', 'reserve', 'release')),
  quantity bigint NOT NULL CHECK (quantity <> 0),
  before_quantity bigint NOT NULL CHECK (before_quantity >= 0),
  after_quantity bigint NOT NULL CHECK (after_quantity >= 0),
  reason text NOT NULL,
  reference_id text,
  notes text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT adds_up CHECK (after_quantity = before_quantity + quantity)
);

-- A product's history, in the order in which it happened: clocks of several processes would not tell it.
CREATE UNIQUE INDEX stock_adjustments_by_product ON stock_adjustments (product_id, product_version);

-- What products had before there were adjustments.
INSERT INTO stock_adjustments (id, product_id, product_version, kind, quantity, before_quantity, after_quantity, reason)
SELECT uuidv7(), id, version, 'initial', stock_quantity, 0, stock_quantity, 'initial stock'
FROM products
WHERE stock_quantity > 0;

-- Requests that must happen once: their first answer, byte for byte. A row without an answer is never committed.
CREATE TABLE idempotency_keys (
  route text NOT NULL,
  key text NOT NULL,
  digest text NOT NULL,
  status integer,
  body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (route, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
