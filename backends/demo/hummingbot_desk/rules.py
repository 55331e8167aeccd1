"""The alert rules that each generation's Prometheus has loaded, by name."""

from __future__ import annotations

from typing import Final

RULES: Final = (
    "ContainerDown",
    "ContainerRestartLoop",
    "HighCpuUsage",
    "HighMemoryUsage",
    "HighDiskUsage",
    "DiskAlmostFull",
    "ContainerHighCpu",
    "ContainerHighMemory",
    "ContainerOomKilled",
    "HighNetworkErrorRate",
    "BotHardStopActive",
    "BotSoftPauseTooLong",
    "BotNoFillsWhileRunning",
    "BotNegativeEdgePersistent",
    "BotFeeSourceFallback",
    "BotDailyPnlDrawdown",
    "BotLogErrorSpike",
    "ControlPlaneReportMissing",
    "ControlPlaneReportStale",
    "CoordinationPolicyGateFailed",
    "CoordinationRuntimeNotHealthy",
    "PromotionGateFailed",
    "StrictCycleFailed",
    "Day2GateNotGo",
    "TickDurationHigh",
    "PositionDriftHigh",
    "MarginRatioLow",
    "OrderBookStale",
    "WsReconnectSpike",
    "FundingRateHigh",
    "RealizedPnlNegative",
    "IndicatorComputeSlow",
    "ConnectorIOSlow",
    "DailyStateStale",
    "BotFrozen",
    "KillSwitchTriggered",
)
"""Of R1."""

NEW_IN_R1: Final = ("BotFrozen", "KillSwitchTriggered")

OF_H: Final = (
    "BotDeriskStall",
    "OpsDbWriterNotHealthy",
    "MarketDataTrackingNotFresh",
    "MinutePipelineStale",
    "ExchangeOrderFailureSpike",
    "DataPlaneConsistencyFailed",
    "RedisReconnectChurn",
    "RedisClientDisconnected",
    "PrometheusTargetDown",
    "PostgresDown",
    "MetricsExporterScrapeFailed",
)
"""What H adds, but for its eight about the paper exchange, of which no name is known."""
