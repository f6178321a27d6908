\ir ../../packages/outbox/migrations/consumer.sql
