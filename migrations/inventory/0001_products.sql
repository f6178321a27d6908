-- The catalogue: one row a product. `version` is raised by every change of the row, under its lock, so that whoever
-- keeps a copy can tell an older state from a newer one.
CREATE TABLE products (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
  sku text NOT NULL CHECK (sku ~ '^[A-Za-z0-9._-]{1,100}$'),
  price_cents integer NOT NULL CHECK (price_cents > 0),
  stock_quantity bigint NOT NULL DEFAULT 0 CHECK (stock_quantity >= 0),
  active boolean NOT NULL DEFAULT true,
  version bigint NOT NULL DEFAULT 1 CHECK (version > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT products_sku_unique UNIQUE (sku)
);
