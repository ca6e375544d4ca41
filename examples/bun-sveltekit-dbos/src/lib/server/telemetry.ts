// Metrics and traces to OTLP over HTTP, as the standard OTEL_* variables say; nothing where they name no
// endpoint. Nothing here patches modules as they are loaded, which PM2 setups need and which works
// differently under each runtime: SvelteKit and DBOS make their own spans, and the app counts what it
// knows best.

import { context, metrics, trace, type Counter, type Histogram } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Pool } from "pg";

import { within } from "./deadline";

const DEFAULT_INTERVAL_MS = 60_000;
/** What the last export may take. The SDK itself tries again for 8 s, and waits 10 s for an answer. */
const LAST_EXPORT_MS = 1_000;

export interface Identity {
  name: string;
  version: string;
  runtime: string;
}

export class Telemetry {
  /** Whether spans go anywhere: DBOS makes its own only then. */
  tracing = false;
  readonly #providers: { shutdown(): Promise<void> }[] = [];
  readonly #requests: Histogram;
  readonly #steps: Counter;

  constructor(env: Record<string, string | undefined>, identity: Identity, pool: Pool) {
    if (env.OTEL_SDK_DISABLED !== "true") this.#export(env, identity);

    // Names and units of OpenTelemetry's semantic conventions, where they have one.
    const meter = metrics.getMeter("order-desk");
    this.#requests = meter.createHistogram("http.server.request.duration", { unit: "s" });
    this.#steps = meter.createCounter("desk.steps", { description: "steps of orders done by this replica" });
    const connections = meter.createObservableGauge("db.client.connection.count");
    connections.addCallback((result) => {
      const attributes = { "db.client.connection.pool.name": "prisma" };
      result.observe(pool.idleCount, { ...attributes, "db.client.connection.state": "idle" });
      result.observe(pool.totalCount - pool.idleCount, { ...attributes, "db.client.connection.state": "used" });
    });
  }

  #export(env: Record<string, string | undefined>, { name, version, runtime }: Identity): void {
    const all = env.OTEL_EXPORTER_OTLP_ENDPOINT;
    // What the environment says of the service goes before what the app knows of itself.
    const resource = defaultResource()
      .merge(resourceFromAttributes({
        "service.name": "order-desk",
        "service.version": version,
        "service.instance.id": name,
        "process.runtime.description": runtime,
      }))
      .merge(detectResources({ detectors: [envDetector] }));
    if (all || env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT) {
      const exportIntervalMillis = Number(env.OTEL_METRIC_EXPORT_INTERVAL) || DEFAULT_INTERVAL_MS;
      const exportTimeoutMillis = Math.min(exportIntervalMillis, Number(env.OTEL_METRIC_EXPORT_TIMEOUT) || 30_000);
      const reader = new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(),
        exportIntervalMillis,
        exportTimeoutMillis,
      });
      const provider = new MeterProvider({ resource, readers: [reader] });
      metrics.setGlobalMeterProvider(provider);
      this.#providers.push(provider);
    }
    if (all || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
      const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      trace.setGlobalTracerProvider(provider);
      this.tracing = true;
      this.#providers.push(provider);
    }
  }

  request(route: string, method: string, status: number, seconds: number): void {
    this.#requests.record(seconds, {
      "http.route": route,
      "http.request.method": method,
      "http.response.status_code": status,
    });
  }

  step(name: string): void {
    this.#steps.add(1, { step: name });
  }

  /** Sends what is not sent yet. A collector that is away, or silent, holds nobody up: it loses that. */
  async stop(): Promise<void> {
    const sent = this.#providers.map((provider) => within(LAST_EXPORT_MS, provider.shutdown()));
    await Promise.allSettled(sent);
  }
}
