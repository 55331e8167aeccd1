-- The tables behind the web console, the backtests, the reports and the taxes: present, mostly empty.

CREATE TABLE system_config (
    config_key text PRIMARY KEY,
    config_type text NOT NULL,
    config_value jsonb NOT NULL,
    updated_by text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    name text NOT NULL,
    key_hash text NOT NULL,
    key_prefix text NOT NULL UNIQUE,
    scopes jsonb NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE backtest_jobs (
    id uuid PRIMARY KEY,
    job_id text NOT NULL UNIQUE,
    alpha_name text NOT NULL,
    status text NOT NULL,
    progress_pct integer NOT NULL DEFAULT 0,
    priority text NOT NULL DEFAULT 'normal',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    error_message text
);

CREATE TABLE data_sync_logs (
    id bigserial PRIMARY KEY,
    dataset text NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    extra jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_sync_schedule (
    id bigserial PRIMARY KEY,
    dataset text NOT NULL UNIQUE,
    cron_expression text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    last_scheduled_run timestamptz,
    next_scheduled_run timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_validation_results (
    id bigserial PRIMARY KEY,
    dataset text NOT NULL,
    validation_type text NOT NULL,
    status text NOT NULL,
    expected_value numeric,
    actual_value numeric,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_anomaly_alerts (
    id uuid PRIMARY KEY,
    dataset text NOT NULL,
    metric text NOT NULL,
    severity text NOT NULL,
    current_value numeric,
    expected_value numeric,
    message text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_quality_alert_acknowledgments (
    id uuid PRIMARY KEY,
    alert_id uuid NOT NULL,
    dataset text NOT NULL,
    acknowledged_by text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now(),
    reason text
);

CREATE TABLE data_query_audit (
    id bigserial PRIMARY KEY,
    user_id text NOT NULL,
    dataset text NOT NULL,
    query_text text,
    row_count integer,
    duration_ms integer,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE export_audit (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    export_type text NOT NULL,
    grid_name text,
    row_count integer,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE report_schedules (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    name text NOT NULL,
    report_type text NOT NULL,
    cron text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE report_schedule_runs (
    id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL REFERENCES report_schedules (id),
    run_key text NOT NULL,
    status text NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    error_message text
);

CREATE TABLE report_archives (
    id uuid PRIMARY KEY,
    schedule_id uuid REFERENCES report_schedules (id),
    user_id text NOT NULL,
    idempotency_key text NOT NULL,
    file_path text NOT NULL,
    file_format text NOT NULL,
    generated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tax_lots (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    remaining_quantity numeric NOT NULL,
    cost_per_share numeric NOT NULL,
    total_cost numeric NOT NULL,
    acquired_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open'
);

CREATE TABLE tax_lot_dispositions (
    id uuid PRIMARY KEY,
    lot_id uuid NOT NULL REFERENCES tax_lots (id),
    quantity numeric NOT NULL,
    proceeds_per_share numeric NOT NULL,
    realized_gain_loss numeric NOT NULL,
    disposed_at timestamptz NOT NULL
);

CREATE TABLE tax_user_settings (
    user_id text PRIMARY KEY,
    cost_basis_method text NOT NULL DEFAULT 'fifo',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tax_wash_sale_adjustments (
    id uuid PRIMARY KEY,
    disposition_id uuid NOT NULL REFERENCES tax_lot_dispositions (id),
    replacement_lot_id uuid REFERENCES tax_lots (id),
    disallowed_loss numeric NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workspace_state (
    user_id text NOT NULL,
    workspace_key text NOT NULL,
    state_json jsonb NOT NULL,
    schema_version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, workspace_key)
);

