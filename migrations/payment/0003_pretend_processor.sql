-- The pretend processor's own books. Nothing of payment joins them, refers to them or writes into them: they stand for
-- what a third party knows, and what it did is a fact whatever happens to payment.
--
-- One row a payment, as the processor sees it. A void of something that it has never heard of is remembered, as a reversal
-- is in card networks: the authorization that comes after it is refused.
CREATE TABLE processor_payments (
  reference text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('UNKNOWN', 'AUTHORIZED', 'DECLINED', 'CAPTURED', 'VOIDED', 'REFUNDED')),
  authorized_cents bigint NOT NULL DEFAULT 0,
  captured_cents bigint NOT NULL DEFAULT 0 CHECK (captured_cents <= authorized_cents),
  refunded_cents bigint NOT NULL DEFAULT 0 CHECK (refunded_cents <= captured_cents),
  decline_code text,
  capture_is_refused boolean NOT NULL DEFAULT false,
  -- How it behaves, told by the card's token: that itself is not kept.
  refuses_capture boolean NOT NULL DEFAULT false,
  loses_replies boolean NOT NULL DEFAULT false,
  delay_millis integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What it did, once for each key, with the answer that every repeat has.
CREATE TABLE processor_operations (
  key text PRIMARY KEY,
  reference text NOT NULL REFERENCES processor_payments (reference),
  operation text NOT NULL CHECK (operation IN ('authorize', 'capture', 'void', 'refund')),
  amount_cents bigint NOT NULL,
  done_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX processor_operations_by_reference ON processor_operations (reference);
