\ir ../../packages/outbox/migrations/outbox.sql
