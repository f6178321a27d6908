\ir ../../packages/saga/migrations/saga.sql

-- What has happened stays.
REVOKE UPDATE, DELETE ON saga_journal FROM ecommerce_orchestrator;

REVOKE DELETE ON sagas FROM ecommerce_orchestrator;
