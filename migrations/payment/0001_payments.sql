-- One row for every order id that was ever asked about, locked before anything else is looked at. It says what was
-- intended, and is committed before the processor is asked:
-- - authorization_id: money is to be held; capture_id: it is to be taken; cancelled_at: it is to be given back;
-- - a row without an authorization is a tombstone (cancelled_at), or remembers a refused capture.
-- What was intended is filled in once and never taken back. What came of it is in the books below.
CREATE TABLE payments (
  order_id uuid PRIMARY KEY,
  authorization_id text UNIQUE CHECK (authorization_id ~ '^auth_[0-9a-f]{32}$'),
  amount_cents bigint CHECK (amount_cents > 0),
  currency text CHECK (currency ~ '^[A-Z]{3}$'),
  digest text,
  capture_id text UNIQUE CHECK (capture_id ~ '^cap_[0-9a-f]{32}$'),
  capture_cents bigint CHECK (capture_cents > 0),
  capture_digest text,
  cancelled_at timestamptz,
  -- Something is intended of which nobody knows yet what came of it.
  is_open boolean NOT NULL,
  version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT held_as_a_whole CHECK (num_nulls(authorization_id, amount_cents, currency, digest) IN (0, 4)),
  CONSTRAINT taken_as_a_whole CHECK (num_nulls(capture_id, capture_cents, capture_digest) IN (0, 3)),
  CONSTRAINT takes_what_was_asked_for CHECK (capture_cents <= amount_cents)
);

-- For whoever looks after what is open too long; most payments never are.
CREATE INDEX payments_open ON payments (authorization_id) WHERE is_open;

-- The books: what the processor said, once for each authorization. They are appended to and never changed.
--
-- The decision on an authorization. What may be captured of it is its amount, or nothing where it was declined or where
-- the processor never heard of it before it was cancelled.
CREATE TABLE authorizations (
  authorization_id text PRIMARY KEY REFERENCES payments (authorization_id),
  amount_cents bigint NOT NULL CHECK (amount_cents > 0),
  decline_code text,
  approved_cents bigint NOT NULL GENERATED ALWAYS AS (CASE WHEN decline_code IS NULL THEN amount_cents ELSE 0 END) STORED,
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (authorization_id, approved_cents)
);

CREATE TABLE captures (
  authorization_id text PRIMARY KEY,
  capture_id text NOT NULL UNIQUE,
  approved_cents bigint NOT NULL,
  amount_cents bigint NOT NULL CHECK (amount_cents > 0 AND amount_cents <= approved_cents),
  captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (authorization_id, approved_cents) REFERENCES authorizations (authorization_id, approved_cents),
  UNIQUE (authorization_id, amount_cents)
);

CREATE TABLE voids (
  authorization_id text PRIMARY KEY,
  approved_cents bigint NOT NULL,
  voided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (authorization_id, approved_cents) REFERENCES authorizations (authorization_id, approved_cents)
);

CREATE TABLE refunds (
  authorization_id text PRIMARY KEY,
  captured_cents bigint NOT NULL,
  amount_cents bigint NOT NULL CHECK (amount_cents > 0 AND amount_cents <= captured_cents),
  refunded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (authorization_id, captured_cents) REFERENCES captures (authorization_id, amount_cents)
);

-- Money was taken or it was let go, never both.
CREATE FUNCTION refuse_void_beside_capture() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT FROM captures WHERE authorization_id = NEW.authorization_id)
    AND EXISTS (SELECT FROM voids WHERE authorization_id = NEW.authorization_id) THEN
    RAISE EXCEPTION '% is both captured and void', NEW.authorization_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER captures_not_void AFTER INSERT ON captures FOR EACH ROW EXECUTE FUNCTION refuse_void_beside_capture();

CREATE TRIGGER voids_not_captured AFTER INSERT ON voids FOR EACH ROW EXECUTE FUNCTION refuse_void_beside_capture();

-- Definite refusals to take money, also where there was no payment at all: said again until the payment is cancelled.
CREATE TABLE capture_refusals (
  order_id uuid PRIMARY KEY REFERENCES payments (order_id),
  reason text NOT NULL,
  amount_cents bigint NOT NULL,
  -- What was asked for: whoever asks for something else under the same key is told of a conflict.
  digest text NOT NULL,
  refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

REVOKE UPDATE, DELETE ON authorizations, captures, voids, refunds, capture_refusals FROM ecommerce_payment;
