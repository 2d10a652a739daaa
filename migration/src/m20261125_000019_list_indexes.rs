//! Indexes for the lists of staff: each serves a filter and the list's order together, so a page costs the same in a shop
//! of any age.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::scripts!(UP, DOWN);

/// Orders are found by any of their three states: a filter that leaves one out names all of its values. On PostgreSQL the
/// index has its nulls first, though there are none: a page that asks for that order is read from this index, and not
/// from the one of all orders, past those of other states.
const UP: &str = "
DROP INDEX order_status
--
CREATE INDEX order_state_placed ON customer_order (
    status, payment_status, fulfilment_status,
pg:    placed_at NULLS FIRST, id NULLS FIRST
lite:    placed_at, id
)
--
CREATE INDEX order_state_total ON customer_order (
    status, payment_status, fulfilment_status,
pg:    total NULLS FIRST, id NULLS FIRST
lite:    total, id
)
--
CREATE INDEX job_kind ON job (kind, id)
--
CREATE INDEX job_queue ON job (queue, id)
--
CREATE INDEX stock_movement_variant ON stock_movement (variant_id, id)
--
DROP INDEX audit_action
--
CREATE INDEX audit_action ON audit (action, created_at, id)
--
DROP INDEX audit_thing
--
CREATE INDEX audit_thing ON audit (thing_kind, thing_id, created_at, id)
--
DROP INDEX audit_actor
--
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, created_at, id)
";

const DOWN: &str = "
DROP INDEX audit_actor
--
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, id)
--
DROP INDEX audit_thing
--
CREATE INDEX audit_thing ON audit (thing_kind, thing_id, id)
--
DROP INDEX audit_action
--
CREATE INDEX audit_action ON audit (action, id)
--
DROP INDEX stock_movement_variant
--
DROP INDEX job_queue
--
DROP INDEX job_kind
--
DROP INDEX order_state_total
--
DROP INDEX order_state_placed
--
CREATE INDEX order_status ON customer_order (status, placed_at, id)
";
