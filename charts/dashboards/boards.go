package main

// what is chosen at the top of each dashboard.
const (
	here = `namespace=~"$namespace"`
	lane = here + `,lane=~"$lane"`
)

func all() []dashboard {
	return []dashboard{overview(), lanes(), providers(), templates()}
}

// indicator is a figure of the reference, for each lane.
func indicator(title, about string, u unit, expr string, warn, alert float64) panel {
	return panel{title: title, about: about, kind: number, unit: u, queries: one(expr, "{{lane}}"), warn: warn, alert: alert}
}

func overview() dashboard {
	return dashboard{"overview", "overview", "Do people get their messages? The service-level report, as it is now.", []row{
		{"The last five minutes", 5, []panel{
			indicator("Events in, an hour", "Events that were read and decided on, at the rate of the last five minutes.", perHour, `meddela:events_in:rate5m{`+lane+`} * 3600`, 0, 0),
			indicator("Sent, an hour", "Messages that a provider has accepted.", perHour, `meddela:events_out:rate5m{`+lane+`} * 3600`, 0, 0),
			indicator("Otherwise than sent", "Not covered, expired, delivery error or ignored, of all events.", ratio, `meddela:error_ratio:rate5m{`+lane+`}`, 0.01, 0.05),
			indicator("Waiting", "Events in a queue.", count, `meddela:waiting:records{`+lane+`}`, 100, 400),
			indicator("Time in the queue", "Mean, from when a message was wanted to when its first attempt began.", seconds, `meddela:queue_seconds:mean5m{`+lane+`}`, 4, 8),
			indicator("Sending time", "Mean, of an attempt.", seconds, `meddela:sending_seconds:mean5m{`+lane+`}`, 6, 12),
			indicator("Processing time", "Mean, from when a message was wanted to when a provider had it.", seconds, `meddela:processing_seconds:mean5m{`+lane+`}`, 10, 20),
			indicator("Processing time, 99 %", "What 99 of 100 messages stay below.", seconds, `meddela:processing_seconds:p99_5m{`+lane+`}`, 10, 20),
		}},
		{"Is it well?", 6, []panel{
			{title: "Alerts", about: "docs/alerts.md says what each means and what to do.", kind: list, unit: count,
				queries: one(`ALERTS{alertname=~"Meddela.*",alertstate="firing",`+here+`}`, "")},
			{title: "Oldest event that waits", about: "Since it was written or due.", kind: graph, unit: seconds, warn: 8, alert: 20,
				queries: one(`max by (lane) (meddela_oldest_unprocessed_seconds{`+lane+`})`, "{{lane}}")},
			{title: "Processes", about: "A role with none does not run.", kind: bars, unit: count,
				queries: one(`max by (lane, role, channel) (meddela_group_members{`+lane+`})`, "{{lane}} {{role}} {{channel}}")},
		}},
		{"What became of events", 9, []panel{
			{title: "Events in", kind: graph, unit: perSec, stacked: true, queries: one(`sum by (lane, channel) (rate(meddela_events_total{`+lane+`}[$__rate_interval]))`, "{{lane}} {{channel}}")},
			{title: "By final status", kind: graph, unit: perSec, stacked: true,
				queries: one(`sum by (status) (rate(meddela_statuses_total{`+lane+`,status!~"pending.*"}[$__rate_interval]))`, "{{status}}")},
		}},
		{"How long it takes", 9, []panel{
			{title: "From the event to the provider", kind: graph, unit: seconds, warn: 10, alert: 20, queries: []query{
				{`histogram_quantile(0.5, sum by (lane, le) (rate(meddela_processing_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{lane}} half"},
				{`histogram_quantile(0.99, sum by (lane, le) (rate(meddela_processing_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{lane}} 99 %"},
			}},
			{title: "Why events were not sent, in this time", kind: list, unit: count,
				queries: one(`sort_desc(sum by (lane, status, reason) (increase(meddela_statuses_total{`+lane+`,status!~"pending.*|sent"}[$__range])) > 0)`, "")},
		}},
	}}
}

func lanes() dashboard {
	return dashboard{"lanes", "lanes", "How far each role is behind, and what it waits for.", []row{
		{"Behind", 9, []panel{
			{title: "Records not done with", about: "Of role delay: those that wait as they are to.", kind: graph, unit: count,
				queries: one(`sum by (lane, role, channel) (meddela_lag_records{`+lane+`})`, "{{lane}} {{role}} {{channel}}")},
			{title: "Oldest of them", kind: graph, unit: seconds, warn: 8, alert: 20,
				queries: one(`max by (lane, role, channel) (meddela_oldest_unprocessed_seconds{`+lane+`})`, "{{lane}} {{role}} {{channel}}")},
		}},
		{"Partitions", 8, []panel{
			{title: "The ten that are furthest behind", about: "One partition alone: a key with very many events, or a record that its role cannot get past.", kind: list, unit: seconds,
				queries: one(`topk(10, meddela_oldest_unprocessed_seconds{`+lane+`} > 0)`, "")},
			{title: "Waiting on delay topics", kind: graph, unit: count, stacked: true,
				queries: one(`sum by (topic) (meddela_lag_records{`+lane+`,role="delay"})`, "{{topic}}")},
		}},
		{"Work", 8, []panel{
			{title: "Records read", kind: graph, unit: perSec, queries: one(`sum by (lane, role) (rate(meddela_records_read_total{`+lane+`}[$__rate_interval]))`, "{{lane}} {{role}}")},
			{title: "Records written", kind: graph, unit: perSec, queries: one(`sum by (lane, role) (rate(meddela_records_written_total{`+lane+`}[$__rate_interval]))`, "{{lane}} {{role}}")},
			{title: "Writing statuses to Redis", kind: graph, unit: seconds, queries: []query{
				{`histogram_quantile(0.5, sum by (lane, le) (rate(meddela_status_write_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{lane}} half"},
				{`histogram_quantile(0.99, sum by (lane, le) (rate(meddela_status_write_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{lane}} 99 %"},
			}},
		}},
		{"Trouble", 8, []panel{
			{title: "Waiting for a server", kind: graph, unit: perSec, queries: []query{
				{`sum by (lane, role) (rate(meddela_retries_total{` + lane + `}[$__rate_interval])) > 0`, "{{lane}} {{role}}"},
				{`sum by (lane, role, request) (rate(meddela_kafka_errors_total{` + lane + `}[$__rate_interval])) > 0`, "{{lane}} {{role}} Kafka {{request}}"},
			}},
			{title: "Dead letters", kind: graph, unit: perSec, queries: one(`sum by (lane, role) (rate(meddela_dead_letters_total{`+lane+`}[$__rate_interval]))`, "{{lane}} {{role}}")},
			{title: "Partitions of Kafka without all replicas", kind: graph, unit: count, queries: []query{
				{`meddela_kafka_partitions_under_replicated{` + here + `}`, "too few in sync"},
				{`meddela_kafka_partitions_offline{` + here + `}`, "no leader"},
			}},
		}},
		{"Processes", 8, []panel{
			{title: "CPU", kind: graph, unit: "none", queries: one(`rate(process_cpu_seconds_total{`+here+`}[$__rate_interval]) and on (instance) meddela_build_info`, "{{instance}}")},
			{title: "Memory", kind: graph, unit: "bytes", queries: one(`process_resident_memory_bytes{`+here+`} and on (instance) meddela_build_info`, "{{instance}}")},
			{title: "Versions", kind: list, unit: count, queries: one(`count by (version, lane, role) (meddela_build_info{`+lane+`})`, "")},
		}},
	}}
}

func providers() dashboard {
	return dashboard{"providers", "providers", "Who messages are handed to, and how well they take them.", []row{
		{"Are they there?", 6, []panel{
			{title: "Left alone", about: "1 while a provider that was down is not asked: its circuit breaker is open.", kind: bars, unit: count, alert: 1,
				queries: one(`max by (channel, provider) (meddela_provider_left_alone{`+lane+`})`, "{{channel}} {{provider}}")},
			{title: "Failing", about: "Failed, down or unknown, of all that it was asked.", kind: graph, unit: ratio, warn: 0.05, alert: 0.2,
				queries: one(`sum by (provider) (rate(meddela_provider_sends_total{`+lane+`,verdict=~"failed|down|unknown"}[$__rate_interval])) / (sum by (provider) (rate(meddela_provider_sends_total{`+lane+`}[$__rate_interval])) > 0)`, "{{provider}}")},
			{title: "It may have been sent", about: "Messages of which it was not known whether they were sent.", kind: graph, unit: count,
				queries: one(`sum by (channel) (increase(meddela_ambiguous_sends_total{`+lane+`}[$__rate_interval]))`, "{{channel}}")},
		}},
		{"Answers", 9, []panel{
			{title: "By verdict", kind: graph, unit: perSec, stacked: true,
				queries: one(`sum by (provider, verdict) (rate(meddela_provider_sends_total{`+lane+`}[$__rate_interval])) > 0`, "{{provider}} {{verdict}}")},
			{title: "Time to answer, mean", kind: graph, unit: seconds,
				queries: one(`sum by (provider) (rate(meddela_provider_seconds_total{`+lane+`}[$__rate_interval])) / (sum by (provider) (rate(meddela_provider_sends_total{`+lane+`}[$__rate_interval])) > 0)`, "{{provider}}")},
		}},
		{"Attempts", 9, []panel{
			{title: "By what they came to", kind: graph, unit: perSec, stacked: true,
				queries: one(`sum by (channel, status, reason) (rate(meddela_attempts_total{`+lane+`}[$__rate_interval])) > 0`, "{{channel}} {{status}} {{reason}}")},
			{title: "Time of an attempt", about: "Waiting for limits included.", kind: graph, unit: seconds, warn: 6, alert: 12, queries: []query{
				{`histogram_quantile(0.5, sum by (channel, le) (rate(meddela_sending_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{channel}} half"},
				{`histogram_quantile(0.99, sum by (channel, le) (rate(meddela_sending_seconds_bucket{` + lane + `}[$__rate_interval])))`, "{{channel}} 99 %"},
			}},
			{title: "To be tried again", kind: graph, unit: perSec,
				queries: one(`sum by (channel, reason) (rate(meddela_attempts_total{`+lane+`,again="yes"}[$__rate_interval]))`, "{{channel}} {{reason}}")},
		}},
		{"Limits", 8, []panel{
			{title: "Messages that waited for a limit", kind: graph, unit: perSec, queries: one(`sum by (provider) (rate(meddela_provider_limit_waits_total{`+lane+`}[$__rate_interval]))`, "{{provider}}")},
			{title: "How long, mean", kind: graph, unit: seconds,
				queries: one(`sum by (provider) (rate(meddela_provider_limit_wait_seconds_total{`+lane+`}[$__rate_interval])) / (sum by (provider) (rate(meddela_provider_limit_waits_total{`+lane+`}[$__rate_interval])) > 0)`, "{{provider}}")},
			{title: "Notices to webhooks", kind: graph, unit: perSec, queries: one(`sum by (outcome) (rate(meddela_notices_total{`+lane+`}[$__rate_interval]))`, "{{outcome}}")},
		}},
	}}
}

func templates() dashboard {
	return dashboard{"templates", "templates", "Which messages go out, and which events have no template.", []row{
		{"Templates", 5, []panel{
			{title: "In force", kind: number, unit: count, queries: one(`max(meddela_templates{`+lane+`})`, "")},
			{title: "Versions known", kind: number, unit: count, queries: one(`max(meddela_template_versions{`+lane+`})`, "")},
			{title: "Last changed", kind: number, unit: moment, queries: one(`max(meddela_catalogue_changed_timestamp_seconds{`+lane+`}) * 1000`, "")},
			{title: "Last heard of", about: "Templates are no older than that.", kind: number, unit: seconds, warn: 60, alert: 300, queries: one(`max(meddela_catalogue_age_seconds{`+lane+`})`, "")},
			{title: "Records refused", about: "Records of the templates topic that were not taken.", kind: number, unit: count, alert: 1, queries: one(`max(meddela_template_records_refused_total{`+lane+`})`, "")},
		}},
		{"What they send", 10, []panel{
			{title: "Sent, by template", kind: graph, unit: perSec, stacked: true,
				queries: one(`topk(15, sum by (template) (rate(meddela_template_statuses_total{`+lane+`,status="sent"}[$__rate_interval])))`, "{{template}}")},
			{title: "In this time", kind: list, unit: count,
				queries: one(`sort_desc(sum by (template, status) (increase(meddela_template_statuses_total{`+lane+`}[$__range])) > 0)`, "")},
		}},
		{"What they do not", 10, []panel{
			{title: "Otherwise than sent, by template", kind: graph, unit: ratio, warn: 0.01, alert: 0.05,
				queries: one(`sum by (template) (rate(meddela_template_statuses_total{`+lane+`,status!="sent"}[$__rate_interval])) / (sum by (template) (rate(meddela_template_statuses_total{`+lane+`}[$__rate_interval])) > 0)`, "{{template}}")},
			{title: "Events without a template", about: "meddela uncovered list names them.", kind: graph, unit: perSec, stacked: true,
				queries: one(`sum by (channel, reason) (rate(meddela_events_total{`+lane+`,status="not_covered"}[$__rate_interval])) > 0`, "{{channel}} {{reason}}")},
		}},
	}}
}
