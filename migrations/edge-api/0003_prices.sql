-- A copy of what inventory says of its products: their prices, and whether they are sold. `version` is inventory's, so that
-- what is older never replaces what is newer; `known_at` is the moment at which it was certainly so.
CREATE TABLE prices (
  product_id uuid PRIMARY KEY,
  price_cents integer NOT NULL CHECK (price_cents > 0),
  active boolean NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  known_at timestamptz NOT NULL
);
