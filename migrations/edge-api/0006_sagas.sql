-- Of the states that somebody wants for an order, one after the other, the places of those that may follow where it stands.
CREATE FUNCTION legal_path(status text, wanted text[]) RETURNS integer[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  here text := status;
  kept integer[] := '{}';
BEGIN
  FOR place IN 1 .. cardinality(wanted) LOOP
    CONTINUE WHEN NOT may_become(here, wanted[place]);
    here := wanted[place];
    kept := kept || place;
  END LOOP;
  RETURN kept;
END $$;

-- Several states of an order may come at once. The order then goes from the first of them to the last; that each may follow the one
-- before it is looked at where they are kept.
DROP TRIGGER orders_change_legally ON order_ledger;

CREATE TRIGGER orders_change_legally BEFORE UPDATE ON order_ledger FOR EACH ROW
WHEN (
  (NEW.order_id, NEW.user_id, NEW.email, NEW.total_cents, NEW.currency, NEW.created_at)
    IS DISTINCT FROM (OLD.order_id, OLD.user_id, OLD.email, OLD.total_cents, OLD.currency, OLD.created_at)
  OR NEW.version <= OLD.version
  OR NOT may_become(OLD.status, NEW.status)
)
EXECUTE FUNCTION refuse_change();

-- A state says which one it follows, and the key holds it to that: what was there before had this number and this status.
ALTER TABLE order_states ADD COLUMN previous_status text;

UPDATE order_states SET previous_status = before.status FROM order_states AS before
WHERE before.order_id = order_states.order_id AND before.version = order_states.version - 1;

ALTER TABLE order_states ADD CONSTRAINT states_by_status UNIQUE (order_id, version, status);

ALTER TABLE order_states DROP CONSTRAINT unbroken;

ALTER TABLE order_states
  ADD CONSTRAINT unbroken FOREIGN KEY (order_id, previous_version, previous_status)
    REFERENCES order_states (order_id, version, status),
  ADD CONSTRAINT follows_something CHECK ((previous_version IS NULL) = (previous_status IS NULL)),
  ADD CONSTRAINT follows_legally CHECK (may_become(previous_status, status));

-- That a customer does not want an order any more: said once, however often it is asked.
CREATE TABLE cancellations (
  order_id uuid PRIMARY KEY REFERENCES order_ledger (order_id),
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

REVOKE UPDATE, DELETE ON cancellations FROM ecommerce_edge_api;
