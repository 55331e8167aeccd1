-- Database `trader` as the trading platform's migrations leave it: every table an operator may meet.
-- Columns that an operator reads have the platform's names and types; the rest is kept short.

CREATE TABLE strategies (
    strategy_id text PRIMARY KEY,
    name text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text
);

CREATE TABLE model_registry (
    id serial PRIMARY KEY,
    strategy_name text NOT NULL,
    version text NOT NULL,
    mlflow_run_id text,
    model_path text NOT NULL,
    status text NOT NULL DEFAULT 'inactive' CHECK (status IN ('active', 'inactive', 'testing', 'failed')),
    performance_metrics jsonb,
    config jsonb,
    created_at timestamp NOT NULL DEFAULT now(),
    activated_at timestamp,
    deactivated_at timestamp,
    created_by text NOT NULL DEFAULT 'system',
    notes text,
    UNIQUE (strategy_name, version)
);

CREATE TABLE orders (
    client_order_id text PRIMARY KEY,
    strategy_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    qty numeric NOT NULL CHECK (qty > 0),
    order_type text NOT NULL,
    limit_price numeric(15, 4),
    stop_price numeric(15, 4),
    time_in_force text NOT NULL DEFAULT 'day',
    status text NOT NULL,
    broker_order_id text UNIQUE,
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    filled_at timestamptz,
    filled_qty numeric NOT NULL DEFAULT 0,
    filled_avg_price numeric(15, 4),
    metadata jsonb NOT NULL DEFAULT '{}',
    parent_order_id text,
    slice_num integer,
    total_slices integer,
    scheduled_time timestamptz,
    last_updated_at timestamptz,
    is_terminal boolean NOT NULL DEFAULT false,
    source_priority smallint NOT NULL DEFAULT 1,
    status_rank smallint NOT NULL DEFAULT 0,
    broker_event_id text,
    execution_style text,
    replaced_order_id text
);
CREATE INDEX orders_by_status ON orders (status);
CREATE INDEX orders_by_time ON orders (created_at DESC);
CREATE INDEX orders_not_terminal ON orders (symbol) WHERE is_terminal = false;

CREATE TABLE positions (
    symbol text PRIMARY KEY,
    qty numeric NOT NULL,
    avg_entry_price numeric(15, 4) NOT NULL,
    current_price numeric(15, 4),
    unrealized_pl numeric(15, 4),
    realized_pl numeric(15, 4) NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_trade_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE trades (
    trade_id text PRIMARY KEY,
    client_order_id text NOT NULL,
    broker_order_id text,
    strategy_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    qty numeric NOT NULL,
    price numeric(15, 4) NOT NULL,
    executed_at timestamptz NOT NULL,
    realized_pnl numeric(15, 4),
    source text NOT NULL DEFAULT 'webhook',
    synthetic boolean NOT NULL DEFAULT false,
    superseded boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX trades_by_time ON trades (executed_at DESC);

CREATE TABLE orphan_orders (
    id bigserial PRIMARY KEY,
    broker_order_id text NOT NULL UNIQUE,
    client_order_id text,
    symbol text NOT NULL,
    strategy_id text NOT NULL DEFAULT 'external',
    side text NOT NULL,
    qty numeric NOT NULL,
    estimated_notional numeric(18, 4) NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'untracked',
    detected_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);

CREATE TABLE reconciliation_high_water_mark (
    name text PRIMARY KEY,
    last_check_time timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_log (
    id bigserial PRIMARY KEY,
    timestamp timestamptz NOT NULL DEFAULT now(),
    user_id text,
    action text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    reason text,
    ip_address text,
    session_id text,
    event_type text,
    resource_type text,
    resource_id text,
    outcome text,
    amr_method text
);
CREATE INDEX audit_log_by_time ON audit_log (timestamp DESC);

CREATE TABLE auth_audit_log (
    id bigserial PRIMARY KEY,
    timestamp timestamptz NOT NULL DEFAULT now(),
    event_type text NOT NULL,
    user_id text,
    client_ip text,
    user_agent text,
    auth_type text,
    outcome text NOT NULL,
    failure_reason text,
    request_id text
);

CREATE TABLE orchestration_runs (
    id bigserial PRIMARY KEY,
    run_id uuid NOT NULL UNIQUE,
    strategy_id text NOT NULL,
    as_of_date date NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'partial')),
    capital numeric,
    num_signals integer NOT NULL DEFAULT 0,
    num_orders_submitted integer NOT NULL DEFAULT 0,
    num_orders_accepted integer NOT NULL DEFAULT 0,
    num_orders_rejected integer NOT NULL DEFAULT 0,
    num_orders_filled integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    duration_seconds numeric,
    error_message text
);

CREATE TABLE signal_order_mappings (
    id bigserial PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES orchestration_runs (run_id),
    symbol text NOT NULL,
    predicted_return numeric,
    rank integer,
    target_weight numeric,
    client_order_id text,
    order_qty integer,
    order_side text,
    skip_reason text
);

CREATE TABLE slice_schedules (
    id bigserial PRIMARY KEY,
    parent_order_id text NOT NULL,
    slice_index integer NOT NULL,
    scheduled_at timestamptz NOT NULL,
    qty numeric NOT NULL,
    status text NOT NULL DEFAULT 'scheduled',
    UNIQUE (parent_order_id, slice_index)
);

CREATE TABLE order_modifications (
    modification_id uuid PRIMARY KEY,
    original_client_order_id text NOT NULL,
    new_client_order_id text,
    status text NOT NULL,
    modified_at timestamptz NOT NULL DEFAULT now(),
    modified_by text NOT NULL,
    reason text,
    changes jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE alert_rules (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    condition_type text NOT NULL,
    threshold_value numeric NOT NULL,
    comparison text NOT NULL,
    channels jsonb NOT NULL DEFAULT '[]',
    enabled boolean NOT NULL DEFAULT true,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alert_events (
    id uuid PRIMARY KEY,
    rule_id uuid NOT NULL REFERENCES alert_rules (id),
    triggered_at timestamptz NOT NULL,
    trigger_value numeric,
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_note text
);

CREATE TABLE alert_deliveries (
    id uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert_events (id),
    channel text NOT NULL,
    recipient text NOT NULL,
    dedup_key text,
    status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'delivered', 'failed', 'poison')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 3),
    last_attempt_at timestamptz,
    delivered_at timestamptz,
    poison_at timestamptz,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alembic_version (version_num text PRIMARY KEY);

CREATE FUNCTION get_active_model(p_strategy text)
RETURNS TABLE (version text, model_path text, activated_at timestamp) LANGUAGE sql STABLE AS $$
    SELECT m.version, m.model_path, m.activated_at FROM model_registry m
    WHERE m.strategy_name = p_strategy AND m.status = 'active' ORDER BY m.activated_at DESC LIMIT 1
$$;

CREATE FUNCTION get_model_history(p_strategy text, p_limit integer)
RETURNS TABLE (version text, status text, created_at timestamp, activated_at timestamp)
LANGUAGE sql STABLE AS $$
    SELECT m.version, m.status, m.created_at, m.activated_at FROM model_registry m
    WHERE m.strategy_name = p_strategy ORDER BY m.created_at DESC LIMIT p_limit
$$;

CREATE FUNCTION activate_model(p_strategy text, p_version text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM model_registry m
                   WHERE m.strategy_name = p_strategy AND m.version = p_version) THEN
        RAISE EXCEPTION 'Model % version % not found', p_strategy, p_version;
    END IF;
    UPDATE model_registry SET status = 'inactive', deactivated_at = now()
    WHERE strategy_name = p_strategy AND status = 'active';
    UPDATE model_registry SET status = 'active', activated_at = now(), deactivated_at = NULL
    WHERE strategy_name = p_strategy AND version = p_version;
    RETURN true;
END
$$;
