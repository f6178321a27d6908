-- The ledger's status is that of the state which its version names. Until now the key held it to a state of that number alone, which
-- might have been another one.
ALTER TABLE order_ledger DROP CONSTRAINT kept;

ALTER TABLE order_ledger ADD CONSTRAINT kept FOREIGN KEY (order_id, version, status)
  REFERENCES order_states (order_id, version, status) DEFERRABLE INITIALLY DEFERRED;
