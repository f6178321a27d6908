-- What an order may become. This is the one place that says so: statements ask it, and the trigger and the constraint
-- below hold every path to it. No status at all stands for an order that nobody has created.
CREATE FUNCTION may_become(previous text, next text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN previous IS NULL THEN next IN ('CREATED', 'CANCELLED')
  WHEN previous = 'CREATED' THEN next IN ('CONFIRMED', 'CANCELLED')
  WHEN previous = 'CONFIRMED' THEN next = 'CANCELLED'
  ELSE false
END;

-- One row for every id that was ever asked about, locked before anything else is looked at:
-- - an order: who ordered, for how much, and where it stands;
-- - a tombstone: CANCELLED, and nothing else known. It was cancelled before it was created, and the late create is refused;
-- - no status: somebody wanted to confirm an order that is not there. The refusal is remembered.
CREATE TABLE orders (
  order_id uuid PRIMARY KEY,
  place bigint GENERATED ALWAYS AS IDENTITY,
  user_id uuid,
  email text,
  total_cents bigint CHECK (total_cents > 0),
  digest text,
  status text,
  -- How many transitions there were; null where there was none, for the key at the end of this file.
  version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
  last_transition integer GENERATED ALWAYS AS (nullif(version, 0)) STORED,
  confirmation_refused boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT version_counts_transitions CHECK ((version = 0) = (status IS NULL)),
  CONSTRAINT known_as_a_whole CHECK (num_nulls(user_id, email, total_cents, digest) IN (0, 4)),
  CONSTRAINT cancelled_unless_known CHECK (digest IS NOT NULL OR status IS NULL OR status = 'CANCELLED'),
  CONSTRAINT refused_is_not_confirmed CHECK (NOT (confirmation_refused AND status = 'CONFIRMED'))
);

-- A user's orders, newest first.
CREATE INDEX orders_by_user ON orders (user_id, place DESC);

-- The conditions are looked at for every row; the function runs only where one is broken.
CREATE FUNCTION refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the order % may not become %', NEW.order_id, NEW.status USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER orders_begin_legally BEFORE INSERT ON orders FOR EACH ROW
WHEN (NEW.status IS NOT NULL AND NOT may_become(NULL, NEW.status))
EXECUTE FUNCTION refuse_transition();

CREATE TRIGGER orders_change_legally BEFORE UPDATE ON orders FOR EACH ROW
WHEN (
  NEW.order_id <> OLD.order_id
  OR NEW.version <> OLD.version + (NEW.status IS DISTINCT FROM OLD.status)::integer
  OR (NEW.status IS DISTINCT FROM OLD.status AND NOT coalesce(may_become(OLD.status, NEW.status), false))
)
EXECUTE FUNCTION refuse_transition();

CREATE TABLE order_items (
  order_id uuid NOT NULL REFERENCES orders (order_id),
  line integer NOT NULL CHECK (line > 0),
  product_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price_cents integer NOT NULL CHECK (unit_price_cents > 0),
  PRIMARY KEY (order_id, line)
);

-- Every transition, with its time and its cause: an order's version is how many there were.
CREATE TABLE order_transitions (
  order_id uuid NOT NULL REFERENCES orders (order_id),
  version integer NOT NULL CHECK (version > 0),
  previous_status text,
  status text NOT NULL,
  cause text NOT NULL CHECK (cause <> ''),
  at timestamptz NOT NULL,
  previous_version integer GENERATED ALWAYS AS (nullif(version - 1, 0)) STORED,
  PRIMARY KEY (order_id, version),
  CONSTRAINT legal CHECK (may_become(previous_status, status)),
  CONSTRAINT unbroken FOREIGN KEY (order_id, previous_version) REFERENCES order_transitions (order_id, version)
);

-- No order is committed in a status whose transition was not kept.
ALTER TABLE orders ADD CONSTRAINT kept FOREIGN KEY (order_id, last_transition)
  REFERENCES order_transitions (order_id, version) DEFERRABLE INITIALLY DEFERRED;

-- What has happened stays.
REVOKE UPDATE, DELETE ON order_transitions, order_items FROM ecommerce_orders;

REVOKE DELETE ON orders FROM ecommerce_orders;
