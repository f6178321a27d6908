-- What the status of an order may become. This is the one place that says so. What its saga tells may overtake itself on
-- the way, so a state on that way may be left out, and none is ever gone back to.
CREATE FUNCTION may_become(previous text, next text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN previous IS NULL THEN next = 'AWAITING_AUTHORIZATION'
  WHEN previous = 'AWAITING_AUTHORIZATION' THEN next IN ('AUTHORIZED', 'AUTHORIZATION_FAILED')
  WHEN previous = 'AUTHORIZED' THEN
    next IN ('ORDER_CREATED', 'INVENTORY_RESERVED', 'PAYMENT_CAPTURED', 'COMPLETED', 'COMPENSATING', 'FAILED', 'CANCELLED')
  WHEN previous = 'ORDER_CREATED' THEN
    next IN ('INVENTORY_RESERVED', 'PAYMENT_CAPTURED', 'COMPLETED', 'COMPENSATING', 'FAILED', 'CANCELLED')
  WHEN previous = 'INVENTORY_RESERVED' THEN
    next IN ('PAYMENT_CAPTURED', 'COMPLETED', 'COMPENSATING', 'FAILED', 'CANCELLED')
  WHEN previous = 'PAYMENT_CAPTURED' THEN next IN ('COMPLETED', 'COMPENSATING', 'FAILED', 'CANCELLED')
  WHEN previous = 'COMPLETED' THEN next IN ('COMPENSATING', 'CANCELLED')
  WHEN previous = 'COMPENSATING' THEN next IN ('FAILED', 'CANCELLED')
  ELSE false
END;

-- One row an order, from before its payment is asked until for ever. Its id is the order's id everywhere, and its ids are
-- made in the order of time.
CREATE TABLE order_ledger (
  order_id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  email text NOT NULL CHECK (char_length(email) BETWEEN 1 AND 255),
  total_cents bigint NOT NULL CHECK (total_cents > 0),
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  status text NOT NULL,
  version integer NOT NULL DEFAULT 1 CHECK (version > 0),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A user's orders, newest first.
CREATE INDEX order_ledger_by_user ON order_ledger (user_id, order_id DESC);

-- The conditions are looked at for every row; the function runs only where one is broken.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the order % may not become %', NEW.order_id, NEW.status USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER orders_begin_legally BEFORE INSERT ON order_ledger FOR EACH ROW
WHEN (NOT may_become(NULL, NEW.status) OR NEW.version <> 1)
EXECUTE FUNCTION refuse_change();

-- What was asked for, and at which price, stays as it was.
CREATE TRIGGER orders_change_legally BEFORE UPDATE ON order_ledger FOR EACH ROW
WHEN (
  (NEW.order_id, NEW.user_id, NEW.email, NEW.total_cents, NEW.currency, NEW.created_at)
    IS DISTINCT FROM (OLD.order_id, OLD.user_id, OLD.email, OLD.total_cents, OLD.currency, OLD.created_at)
  OR NEW.version <> OLD.version + 1
  OR NOT may_become(OLD.status, NEW.status)
)
EXECUTE FUNCTION refuse_change();

-- The lines, with the prices that were honoured. A product may stand on several.
CREATE TABLE order_lines (
  order_id uuid NOT NULL REFERENCES order_ledger (order_id),
  line integer NOT NULL CHECK (line > 0),
  product_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price_cents integer NOT NULL CHECK (unit_price_cents > 0),
  PRIMARY KEY (order_id, line)
);

-- Every state that an order was in, with its time; the order's version counts them.
CREATE TABLE order_states (
  order_id uuid NOT NULL REFERENCES order_ledger (order_id),
  version integer NOT NULL CHECK (version > 0),
  status text NOT NULL,
  reason jsonb,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  previous_version integer GENERATED ALWAYS AS (nullif(version - 1, 0)) STORED,
  PRIMARY KEY (order_id, version),
  CONSTRAINT unbroken FOREIGN KEY (order_id, previous_version) REFERENCES order_states (order_id, version),
  CONSTRAINT fails_for_a_reason CHECK ((reason IS NOT NULL) OR status NOT IN ('AUTHORIZATION_FAILED', 'FAILED'))
);

-- No order is committed in a state that was not kept.
ALTER TABLE order_ledger ADD CONSTRAINT kept FOREIGN KEY (order_id, version)
  REFERENCES order_states (order_id, version) DEFERRABLE INITIALLY DEFERRED;

-- The request that an order came with: the key under which it happens once, and its answer.
--
-- Until there is an answer, whoever works at it holds the lease, and says so with every write by its epoch: one that comes
-- back after its lease went to somebody else changes nothing. A MARKED one is a request whose client was told that payment
-- cannot be reached: the client decides whether it goes on, by sending the key again. A LAPSING one is being given up.
-- The card's token is needed to ask payment again, and goes when there is an answer.
CREATE TABLE checkouts (
  order_id uuid PRIMARY KEY DEFAULT uuidv7() REFERENCES order_ledger (order_id) DEFERRABLE INITIALLY DEFERRED,
  idempotency_key text NOT NULL CONSTRAINT checkouts_by_key UNIQUE,
  digest text NOT NULL,
  token text,
  traceparent text,
  stage text NOT NULL DEFAULT 'OPEN' CHECK (stage IN ('OPEN', 'MARKED', 'LAPSING')),
  epoch integer NOT NULL DEFAULT 1 CHECK (epoch > 0),
  lease_until timestamptz NOT NULL,
  status integer,
  body text,
  CONSTRAINT answered_as_a_whole CHECK ((status IS NULL) = (body IS NULL)),
  CONSTRAINT token_until_answered CHECK ((token IS NULL) = (status IS NOT NULL))
);

-- What has no answer yet, those first whose lease ends first.
CREATE INDEX checkouts_unanswered ON checkouts (stage, lease_until) WHERE status IS NULL;

-- What has happened stays.
REVOKE UPDATE, DELETE ON order_states, order_lines FROM ecommerce_edge_api;

REVOKE DELETE ON order_ledger FROM ecommerce_edge_api;
