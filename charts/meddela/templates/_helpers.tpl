{{/* The full name of the release: what every object's name begins with. It depends on nothing that a value can change. */}}
{{- define "meddela.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What a Deployment is chosen by, and what never changes: (dict "root" $ "component" "realtime-match") */}}
{{- define "meddela.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object: (dict "root" $ "component" C "labels" (dict …)). Of a label that comes twice the object's own counts. */}}
{{- define "meddela.labels" -}}
{{ include "meddela.selector" . }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.labels | default dict) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object: (dict "root" $ "component" C "name" NAME "labels" (dict …) "annotations" (dict …)) */}}
{{- define "meddela.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "meddela.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "meddela.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- define "meddela.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "meddela.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* What topics and groups begin with: `-` is the program's word for nothing. */}}
{{- define "meddela.topicPrefix" -}}
{{- if ne .Values.kafka.topicPrefix "-" }}{{ .Values.kafka.topicPrefix }}{{ end }}
{{- end }}

{{/*
Every Deployment of a role, as a JSON list: component, lane (of receive and audit none), role,
channels, labels, and settings: workload, overridden by role, by the role of the lane, by delivery group, and
by the delivery group of the lane.
*/}}
{{- define "meddela.workloads" -}}
{{- $all := list }}
{{- range $lane := list "realtime" "batch" }}
{{- $ofLane := index $.Values.lanes $lane }}
{{- if $ofLane.enabled }}
{{- range $role := list "match" "deliver" "status" "delay" "notify" }}
{{- $settings := mergeOverwrite (deepCopy $.Values.workload) (deepCopy (index $.Values.roles $role | default dict)) (deepCopy (index $ofLane.roles $role | default dict)) }}
{{- if and (eq $role "notify") (not $.Values.delivery.notices) }}
{{- else if and (eq $role "deliver") $.Values.delivery.groups }}
{{- range $group := $.Values.delivery.groups }}
{{- $own := mergeOverwrite (deepCopy $settings) (omit (deepCopy $group) "name" "channels") (deepCopy (index $ofLane.groups $group.name | default dict)) }}
{{- $all = append $all (dict "component" (printf "%s-deliver-%s" $lane $group.name) "lane" $lane "role" $role "channels" $group.channels "settings" $own) }}
{{- end }}
{{- else }}
{{- $all = append $all (dict "component" (printf "%s-%s" $lane $role) "lane" $lane "role" $role "channels" (ternary (list "email" "sms" "push" "webhook") (list) (eq $role "deliver")) "settings" $settings) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $role := list "receive" "audit" }}
{{- if or (eq $role "audit") $.Values.receive.enabled }}
{{- $all = append $all (dict "component" $role "lane" "" "role" $role "channels" list "settings" (mergeOverwrite (deepCopy $.Values.workload) (deepCopy (index $.Values.roles $role)))) }}
{{- end }}
{{- end }}
{{- $some := list }}
{{- range $all }}
{{- $labels := dict "meddela/role" .role }}
{{- if .lane }}{{ $_ := set $labels "meddela/lane" .lane }}{{ end }}
{{- if .settings.enabled }}{{ $some = append $some (set . "labels" $labels) }}{{ end }}
{{- end }}
{{- toJson $some }}
{{- end }}

{{/* Fewest processes of a workload that is scaled: the real-time lane never has fewer than two. */}}
{{- define "meddela.minReplicas" -}}
{{- if eq .lane "realtime" }}{{ max 2 (int .settings.autoscaling.minReplicas) }}{{ else }}{{ int .settings.autoscaling.minReplicas }}{{ end }}
{{- end }}

{{/* What is wrong with the values that the schema cannot see. */}}
{{- define "meddela.check" -}}
{{- $_ := required "kafka.brokers is empty: name the brokers to start from, such as kafka:9092" .Values.kafka.brokers }}
{{- $_ := required "redis.addrs is empty: name the servers to start from, such as redis:6379" .Values.redis.addrs }}
{{- if and .Values.kafka.sasl.mechanism (not .Values.kafka.tls.enabled) (not .Values.kafka.sasl.inClear) }}{{ fail "kafka.tls.enabled is false, so that who listens could log in as the pods do: set it, or kafka.sasl.inClear" }}{{ end }}
{{- if and .Values.redis.auth.existingSecret (not .Values.redis.tls.enabled) (not .Values.redis.auth.inClear) }}{{ fail "redis.tls.enabled is false, so that who listens could log in as the pods do: set it, or redis.auth.inClear" }}{{ end }}
{{- with .Values.kafka.sasl }}
{{- $byAWS := eq .mechanism "aws-msk-iam" }}
{{- if and .mechanism (not $byAWS) (not .existingSecret) }}{{ fail "kafka.sasl.existingSecret is empty: kafka.sasl.mechanism needs the secret that has user and password" }}{{ end }}
{{- if and (ne .mechanism "oauthbearer") (or .oauth.tokenURL .oauth.scopes .oauth.audience .oauth.extensions .oauth.caSecret) }}{{ fail "kafka.sasl.oauth is set: kafka.sasl.mechanism must be oauthbearer" }}{{ end }}
{{- if and .awsRegion (not $byAWS) }}{{ fail "kafka.sasl.awsRegion is set: kafka.sasl.mechanism must be aws-msk-iam" }}{{ end }}
{{- if and $byAWS $.Values.jobs.hooks $.Values.serviceAccount.create (or $.Values.topics.job.enabled $.Values.templates.job.enabled) }}{{ fail "kafka.sasl.mechanism aws-msk-iam: hooks run before the service account is there: set jobs.hooks to false, or serviceAccount.create to false and serviceAccount.name to one that is" }}{{ end }}
{{- end }}
{{- if and (eq .Values.redis.mode "sentinel") (not .Values.redis.masterName) }}{{ fail "redis.masterName is empty: redis.mode sentinel needs the name that sentinels know the master by" }}{{ end }}
{{- with .Values.receive }}
{{- if and .enabled (not $.Values.delivery.pepperSecret) }}{{ fail "delivery.pepperSecret is empty: receive.enabled needs it, as receipts are known by the pepper" }}{{ end }}
{{- if and .enabled .smtp.enabled (eq (int .smtp.port) (int .service.port)) }}{{ fail "receive.smtp.port and receive.service.port are the same" }}{{ end }}
{{- if and (or .ingress.enabled .httpRoute.enabled) (not .host) }}{{ fail "receive.host is empty: receive.ingress and receive.httpRoute need the name that providers reach it by" }}{{ end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}{{ fail "receive.httpRoute.parentRefs is empty: name the Gateway that has the route" }}{{ end }}
{{- end }}
{{- $sources := 0 }}
{{- range list .Values.templates.files .Values.templates.existingConfigMap .Values.templates.image.reference }}{{ if . }}{{ $sources = add1 $sources }}{{ end }}{{ end }}
{{- if gt (int $sources) 1 }}{{ fail "templates: use one of files, existingConfigMap and image.reference" }}{{ end }}
{{- if and .Values.templates.existingConfigMap (not .Values.templates.items) }}{{ fail "templates.items is empty: say which path each key of templates.existingConfigMap has" }}{{ end }}
{{- $names := list }}
{{- if .Values.delivery.groups }}
{{- $channels := list }}
{{- range .Values.delivery.groups }}{{ if has .name $names }}{{ fail (printf "delivery.groups: two groups have the name %s" .name) }}{{ end }}{{ $names = append $names .name }}{{ range .channels }}{{ if has . $channels }}{{ fail (printf "delivery.groups: channel %s is in two groups" .) }}{{ end }}{{ $channels = append $channels . }}{{ end }}{{ end }}
{{- range list "email" "sms" "push" "webhook" }}{{ if not (has . $channels) }}{{ fail (printf "delivery.groups: no group has channel %s, so nobody would deliver it" .) }}{{ end }}{{ end }}
{{- end }}
{{- range $lane, $ofLane := .Values.lanes }}{{ range $name, $_ := $ofLane.groups }}
{{- if not (has $name $names) }}{{ fail (printf "lanes.%s.groups.%s: delivery.groups has no group of this name" $lane $name) }}{{ end }}
{{- end }}{{ end }}
{{- if and .Values.templates.image.reference (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) }}{{ fail "templates.image needs Kubernetes 1.33 or later: use templates.files or templates.existingConfigMap" }}{{ end }}
{{- if and (gt (int .Values.topics.replication) 0) (gt (int .Values.topics.minInSync) (int .Values.topics.replication)) }}{{ fail "topics.minInSync is more than topics.replication: nothing could be written" }}{{ end }}
{{- with .Values.redis }}
{{- if and (eq .mode "single") (contains "," .addrs) }}{{ fail "redis.addrs names several servers: redis.mode must be cluster or sentinel" }}{{ end }}
{{- if and (eq .mode "cluster") (int .db) }}{{ fail "redis.db: a cluster has only 0" }}{{ end }}
{{- if and (ne .mode "sentinel") .masterName }}{{ fail "redis.masterName is set, but redis.mode is not sentinel" }}{{ end }}
{{- end }}
{{- range $server, $tls := dict "kafka" .Values.kafka.tls "redis" .Values.redis.tls }}
{{- if ne (empty $tls.certKey) (empty $tls.keyKey) }}{{ fail (printf "%s.tls: certKey and keyKey belong together" $server) }}{{ end }}
{{- end }}
{{- include "meddela.checkSettings" . }}
{{- range include "meddela.workloads" . | fromJsonArray }}
{{- if and (has .role (list "delay" "receive" "audit")) (eq .settings.autoscaling.kind "keda") }}{{ fail (printf "%s: it has no backlog on a topic, so role %s cannot be scaled by lag: set roles.%s.autoscaling.kind to hpa or none" .component .role .role) }}{{ end }}
{{- if eq .settings.autoscaling.kind "keda" }}
{{- with $.Values.kafka.sasl }}
{{- if and (eq .mechanism "aws-msk-iam") (not .awsRegion) }}{{ fail "kafka.sasl.awsRegion is empty: KEDA needs it" }}{{ end }}
{{- if and (eq .mechanism "oauthbearer") (not .oauth.tokenURL) }}{{ fail "kafka.sasl.oauth.tokenURL is empty: KEDA takes no token itself, so set autoscaling.kind to hpa or none" }}{{ end }}
{{- end }}
{{- end }}
{{- $containers := list .role }}
{{- range .settings.extraContainers }}{{ if has .name $containers }}{{ fail (printf "extraContainers: there are two containers %s" .name) }}{{ end }}{{ $containers = append $containers .name }}{{ end }}
{{- if lt (int .settings.autoscaling.maxReplicas) (int (include "meddela.minReplicas" .)) }}{{ fail (printf "%s: autoscaling.maxReplicas is less than minReplicas" .component) }}{{ end }}
{{- $environment := dict "MEDDELA_LOOP_IN_FLIGHT_BYTES" 8388608 }}
{{- $environment = mergeOverwrite $environment $.Values.settings }}
{{- range .settings.extraEnv }}{{ $_ := set $environment .name .value }}{{ end }}
{{- $least := div (mul 5 (add 50331648 (mul 4 (int64 $environment.MEDDELA_LOOP_IN_FLIGHT_BYTES)))) 4 }}
{{- $limit := dig "resources" "limits" "memory" "" .settings }}
{{- $unit := get (dict "Mi" 1048576 "Gi" 1073741824 "M" 1000000 "G" 1000000000) (regexFind "[A-Za-z]+$" (toString $limit)) }}
{{- if and $unit (not (hasKey $environment "GOMEMLIMIT")) }}
{{- if lt (mulf (float64 (regexFind "^[0-9.]+" $limit)) $unit) (float64 $least) }}{{ fail (printf "%s: resources.limits.memory is %s, and MEDDELA_LOOP_IN_FLIGHT_BYTES needs %d MiB: raise the limit, or lower the setting" .component $limit (div (add $least 1048575) 1048576)) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A setting that the chart makes of other values would be there twice, and a secret would be readable to whoever may read pods. */}}
{{- define "meddela.checkSettings" -}}
{{- range $name, $_ := .Values.settings }}
{{- if regexMatch "_(PASSWORD|PEPPER|SMTP_URL)$" $name }}{{ fail (printf "settings.%s: a secret is no value: name the secret that has it, under kafka, redis or delivery" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_(KAFKA_(BROKERS|COMPRESSION|(TLS|SASL|OAUTH|AWS)(_.*)?)|TOPIC_PREFIX|TOPICS_(PARTITIONS|REPLICATION|MIN_INSYNC))$" $name }}{{ fail (printf "settings.%s: use the values under kafka and topics" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_(REDIS_.*|KEY_PREFIX)$" $name }}{{ fail (printf "settings.%s: use the values under redis" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_(PROVIDERS_FILE|NOTICES_FILE|SUPPRESS_PEPPER_FILE|SMTP_URL_FILE|SANDBOX_CHANNELS)$" $name }}{{ fail (printf "settings.%s: use the values under delivery" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_RECEIVE_" $name }}{{ fail (printf "settings.%s: use the values under receive" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_KAFKA_INSTANCE$" $name }}{{ fail (printf "settings.%s: it is each pod's name" $name) }}{{ end }}
{{- if regexMatch "^MEDDELA_(TRACE_.*|HTTP_ADDR|LOOP_GRACE)$" $name }}{{ fail (printf "settings.%s: use tracing or drainSeconds; the port of the probes is 9090" $name) }}{{ end }}
{{- end }}
{{- end }}

{{/*
What a container is given, as the templates below take it: (dict "root" $ "login" VALUES "also" (list "redis" "pepper" "smtp")).
All have Kafka; "also" lists what else. "login" may name secrets of its own: kafkaSecret, redisSecret.
*/}}
{{- define "meddela.kafkaSecret" -}}
{{- (.login | default dict).kafkaSecret | default .root.Values.kafka.sasl.existingSecret }}
{{- end }}
{{- define "meddela.redisSecret" -}}
{{- (.login | default dict).redisSecret | default .root.Values.redis.auth.existingSecret }}
{{- end }}

{{/* Of kafka.sasl.oauth, as the program reads them. */}}
{{- define "meddela.oauthExtensions" -}}
{{- $all := list }}{{ range $name, $value := .extensions }}{{ $all = append $all (printf "%s=%s" $name $value) }}{{ end }}{{ join "," $all }}
{{- end }}

{{/* Environment of every container that reaches Kafka. */}}
{{- define "meddela.env.kafka" -}}
{{- $secret := include "meddela.kafkaSecret" . }}
{{- $ := .root }}
{{- with .root.Values.kafka }}
- {name: MEDDELA_KAFKA_BROKERS, value: {{ .brokers | quote }}}
- {name: MEDDELA_KAFKA_COMPRESSION, value: {{ .compression | quote }}}
- {name: MEDDELA_TOPIC_PREFIX, value: {{ include "meddela.topicPrefix" $ | default "-" | quote }}}
- {name: MEDDELA_KAFKA_TLS, value: {{ .tls.enabled | quote }}}
{{- if .tls.enabled }}
{{- if .tls.existingSecret }}
{{- with .tls.caKey }}
- {name: MEDDELA_KAFKA_TLS_CA_FILE, value: {{ printf "/run/secrets/meddela/kafka-tls/%s" . | quote }}}
{{- end }}
{{- with .tls.certKey }}
- {name: MEDDELA_KAFKA_TLS_CERT_FILE, value: {{ printf "/run/secrets/meddela/kafka-tls/%s" . | quote }}}
{{- end }}
{{- with .tls.keyKey }}
- {name: MEDDELA_KAFKA_TLS_KEY_FILE, value: {{ printf "/run/secrets/meddela/kafka-tls/%s" . | quote }}}
{{- end }}
{{- end }}
{{- with .tls.serverName }}
- {name: MEDDELA_KAFKA_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if .sasl.mechanism }}
- {name: MEDDELA_KAFKA_SASL_MECHANISM, value: {{ .sasl.mechanism | quote }}}
{{- if eq .sasl.mechanism "aws-msk-iam" }}
{{- with .sasl.awsRegion }}
- {name: MEDDELA_KAFKA_AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- else }}
{{- if or (ne .sasl.mechanism "oauthbearer") .sasl.oauth.tokenURL }}
- {name: MEDDELA_KAFKA_SASL_USERNAME, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ .sasl.usernameKey | quote }}}}}
{{- end }}
- {name: MEDDELA_KAFKA_SASL_PASSWORD_FILE, value: {{ printf "/run/secrets/meddela/kafka-sasl/%s" .sasl.passwordKey | quote }}}
{{- with .sasl.oauth }}
{{- with .tokenURL }}
- {name: MEDDELA_KAFKA_OAUTH_TOKEN_URL, value: {{ . | quote }}}
{{- end }}
{{- with .scopes }}
- {name: MEDDELA_KAFKA_OAUTH_SCOPES, value: {{ join "," . | quote }}}
{{- end }}
{{- with .audience }}
- {name: MEDDELA_KAFKA_OAUTH_AUDIENCE, value: {{ . | quote }}}
{{- end }}
{{- if .extensions }}
- {name: MEDDELA_KAFKA_OAUTH_EXTENSIONS, value: {{ include "meddela.oauthExtensions" . | quote }}}
{{- end }}
{{- if .caSecret }}
- {name: MEDDELA_KAFKA_OAUTH_CA_FILE, value: {{ printf "/run/secrets/meddela/kafka-oauth/%s" .caKey | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- if .sasl.inClear }}
- {name: MEDDELA_KAFKA_SASL_IN_CLEAR, value: "true"}
{{- end }}
{{- end }}
{{- end }}
- {name: MEDDELA_TOPICS_PARTITIONS, value: {{ $.Values.topics.partitions | int | quote }}}
- {name: MEDDELA_TOPICS_REPLICATION, value: {{ $.Values.topics.replication | int | quote }}}
- {name: MEDDELA_TOPICS_MIN_INSYNC, value: {{ $.Values.topics.minInSync | int | quote }}}
{{- if not (hasKey $.Values.settings "MEDDELA_LOG_FORMAT") }}
- {name: MEDDELA_LOG_FORMAT, value: json}
{{- end }}
{{- /* JSON writes a large number as people do; as text it would be 1.048576e+06. */}}
{{- range $name, $value := $.Values.settings }}
- {name: {{ $name }}, value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}}
{{- end }}
{{- end }}

{{/* Environment of every container that reaches Redis. */}}
{{- define "meddela.env.redis" -}}
{{- if has "redis" (.also | default list) }}
{{- $secret := include "meddela.redisSecret" . }}
{{- with .root.Values.redis }}
- {name: MEDDELA_REDIS_ADDRS, value: {{ .addrs | quote }}}
- {name: MEDDELA_REDIS_MODE, value: {{ .mode | quote }}}
- {name: MEDDELA_REDIS_DB, value: {{ .db | int | quote }}}
- {name: MEDDELA_KEY_PREFIX, value: {{ .keyPrefix | default "-" | quote }}}
{{- with .masterName }}
- {name: MEDDELA_REDIS_MASTER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if $secret }}
{{- if .auth.inClear }}
- {name: MEDDELA_REDIS_LOGIN_IN_CLEAR, value: "true"}
{{- end }}
{{- with .auth.usernameKey }}
- {name: MEDDELA_REDIS_USERNAME, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ . | quote }}}}}
{{- end }}
{{- with .auth.passwordKey }}
- {name: MEDDELA_REDIS_PASSWORD_FILE, value: {{ printf "/run/secrets/meddela/redis-auth/%s" . | quote }}}
{{- end }}
{{- with .auth.sentinelUsernameKey }}
- {name: MEDDELA_REDIS_SENTINEL_USERNAME, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ . | quote }}}}}
{{- end }}
{{- with .auth.sentinelPasswordKey }}
- {name: MEDDELA_REDIS_SENTINEL_PASSWORD_FILE, value: {{ printf "/run/secrets/meddela/redis-auth/%s" . | quote }}}
{{- end }}
{{- end }}
- {name: MEDDELA_REDIS_TLS, value: {{ .tls.enabled | quote }}}
{{- if .tls.enabled }}
{{- if .tls.existingSecret }}
{{- with .tls.caKey }}
- {name: MEDDELA_REDIS_TLS_CA_FILE, value: {{ printf "/run/secrets/meddela/redis-tls/%s" . | quote }}}
{{- end }}
{{- with .tls.certKey }}
- {name: MEDDELA_REDIS_TLS_CERT_FILE, value: {{ printf "/run/secrets/meddela/redis-tls/%s" . | quote }}}
{{- end }}
{{- with .tls.keyKey }}
- {name: MEDDELA_REDIS_TLS_KEY_FILE, value: {{ printf "/run/secrets/meddela/redis-tls/%s" . | quote }}}
{{- end }}
{{- end }}
{{- with .tls.serverName }}
- {name: MEDDELA_REDIS_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Environment of a process that serves probes and may be traced. */}}
{{- define "meddela.env.process" -}}
- {name: MEDDELA_HTTP_ADDR, value: ":9090"}
- {name: MEDDELA_LOOP_GRACE, value: {{ printf "%ds" (int .Values.drainSeconds) | quote }}}
{{- with .Values.tracing.endpoint }}
- {name: MEDDELA_TRACE_ENDPOINT, value: {{ . | quote }}}
- {name: MEDDELA_TRACE_SAMPLE, value: {{ $.Values.tracing.sample | quote }}}
{{- end }}
{{- end }}

{{- define "meddela.env.monitor" -}}
{{ include "meddela.env.kafka" . }}
{{ include "meddela.env.redis" . }}
- {name: MEDDELA_HTTP_ADDR, value: ":9090"}
{{ include "meddela.env.pepper" . }}
{{- end }}

{{/* Whoever reads or writes the suppression list has the pepper: an address that is hashed without it is another address. */}}
{{- define "meddela.env.pepper" -}}
{{- if and (has "pepper" (.also | default list)) .root.Values.delivery.pepperSecret }}
- {name: MEDDELA_SUPPRESS_PEPPER_FILE, value: {{ printf "/run/secrets/meddela/pepper/%s" .root.Values.delivery.pepperKey | quote }}}
{{- end }}
{{- end }}

{{/* The file that a role reads, as a list of its name, its text and the secrets that it refers to; of other roles nothing. */}}
{{- define "meddela.file" -}}
{{- with .root.Values.delivery }}
{{- if and (has $.role (list "deliver" "receive")) .providers }}{{ list "providers" .providers .secrets | toJson }}
{{- else if and (eq $.role "notify") .notices }}{{ list "notices" .notices .noticeSecrets | toJson }}
{{- else }}[]{{ end }}
{{- end }}
{{- end }}

{{/* Where role receive listens. */}}
{{- define "meddela.env.receive" -}}
- {name: MEDDELA_RECEIVE_ADDR, value: ":9095"}
{{- if .Values.receive.smtp.enabled }}
- {name: MEDDELA_RECEIVE_SMTP_ADDR, value: ":2525"}
{{- end }}
{{- end }}

{{/*
A list in which each key is there once, as server-side apply wants it; of several the last counts:
(dict "key" "name" "chart" YAML "extra" LIST)
*/}}
{{- define "meddela.once" -}}
{{- $keys := list }}{{ $once := list }}
{{- range concat (fromYamlArray .chart) .extra | reverse }}
{{- $key := index . $.key }}
{{- if not (has $key $keys) }}{{ $keys = append $keys $key }}{{ $once = prepend $once (toJson . | printf "- %s") }}{{ end }}
{{- end }}
{{- join "\n" $once }}
{{- end }}

{{/* What role deliver alone must know of providers. */}}
{{- define "meddela.env.deliver" -}}
{{- with .Values.delivery.smtp }}
{{- if .existingSecret }}
- {name: MEDDELA_SMTP_URL_FILE, value: {{ printf "/run/secrets/meddela/smtp/%s" .urlKey | quote }}}
{{- end }}
{{- end }}
{{- with .Values.delivery.sandbox }}
- {name: MEDDELA_SANDBOX_CHANNELS, value: {{ join "," . | quote }}}
{{- end }}
{{- end }}

{{/* Environment of a role: what a container is given, with "role" and its "file". */}}
{{- define "meddela.env.workload" -}}
{{ include "meddela.env.kafka" . }}
- {name: MEDDELA_KAFKA_INSTANCE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{ include "meddela.env.redis" . }}
{{ include "meddela.env.process" .root }}
{{ include "meddela.env.pepper" . }}
{{- with .file }}
- {name: MEDDELA_{{ first . | upper }}_FILE, value: /etc/meddela/{{ first . }}.yaml}
{{- end }}
{{- if has .role (list "deliver" "receive") }}
{{ include (printf "meddela.env.%s" .role) .root }}
{{- end }}
{{- end }}

{{/* Secrets of a container, as files: a JSON object of volumes and secrets. */}}
{{- define "meddela.secrets" -}}
{{- $all := dict }}
{{- $also := .also | default list }}
{{- with .root.Values.kafka }}
{{- if and .tls.enabled .tls.existingSecret }}{{ $_ := set $all "kafka-tls" .tls.existingSecret }}{{ end }}
{{- if and .sasl.mechanism (ne .sasl.mechanism "aws-msk-iam") }}{{ $_ := set $all "kafka-sasl" (include "meddela.kafkaSecret" $) }}{{ end }}
{{- with .sasl.oauth.caSecret }}{{ $_ := set $all "kafka-oauth" . }}{{ end }}
{{- end }}
{{- if has "redis" $also }}
{{- with .root.Values.redis }}{{ if and .tls.enabled .tls.existingSecret }}{{ $_ := set $all "redis-tls" .tls.existingSecret }}{{ end }}{{ end }}
{{- with include "meddela.redisSecret" . }}{{ $_ := set $all "redis-auth" . }}{{ end }}
{{- end }}
{{- with .root.Values.delivery }}
{{- if and (has "pepper" $also) .pepperSecret }}{{ $_ := set $all "pepper" .pepperSecret }}{{ end }}
{{- if and (has "smtp" $also) .smtp.existingSecret }}{{ $_ := set $all "smtp" .smtp.existingSecret }}{{ end }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- define "meddela.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- range $name, $secret := include "meddela.secrets" . | fromJson }}
- {name: secret-{{ $name }}, secret: {secretName: {{ $secret | quote }}, defaultMode: 0440}}
{{- end }}
{{- with .file }}
- {name: files, configMap: {name: {{ include "meddela.fullname" $.root }}-files, items: [{key: {{ first . }}.yaml, path: {{ first . }}.yaml}]}}
{{- range last . }}
- {name: own-{{ . }}, secret: {secretName: {{ . | quote }}, defaultMode: 0440}}
{{- end }}
{{- end }}
{{- end }}

{{- define "meddela.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $name, $secret := include "meddela.secrets" . | fromJson }}
- {name: secret-{{ $name }}, mountPath: /run/secrets/meddela/{{ $name }}, readOnly: true}
{{- end }}
{{- with .file }}
- {name: files, mountPath: /etc/meddela, readOnly: true}
{{- range last . }}
- {name: own-{{ . }}, mountPath: /run/secrets/{{ . }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* What every pod has, whichever it is. */}}
{{- define "meddela.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- $security := dict }}
{{- range $key, $value := .Values.podSecurityContext }}
{{- if not (and (eq (toString $value) "65532") ($.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}{{ $_ := set $security $key $value }}{{ end }}
{{- end }}
securityContext:
  {{- toYaml $security | nindent 2 }}
{{- end }}

{{/* The account of a job, where it is a login. */}}
{{- define "meddela.job.account" -}}
{{- if eq .Values.kafka.sasl.mechanism "aws-msk-iam" }}serviceAccountName: {{ include "meddela.serviceAccountName" . | quote }}{{ end }}
{{- end }}

{{/* Where a pod may run, of the values of a workload, the monitor or the jobs. */}}
{{- define "meddela.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Metadata of the pods of a job or a test: (dict "root" $ "component" C) */}}
{{- define "meddela.job.metadata" -}}
labels:
  {{- include "meddela.labels" (dict "root" .root "component" .component "labels" .root.Values.jobs.podLabels) | nindent 2 }}
{{- with merge (dict) .root.Values.jobs.podAnnotations .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
A job: (dict "root" $ "component" C "settings" VALUES "hook" (dict …) "args" LIST "volumes" LIST "mounts" LIST "reads" WHAT).
Among the release's own objects it has a name by what it is and reads, since a job cannot be changed: another is another job.
*/}}
{{- define "meddela.job" -}}
{{- $jobs := .root.Values.jobs }}
{{- $name := printf "%s-%s" (include "meddela.fullname" .root) .component }}
{{- $template := include "meddela.job.template" . }}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "meddela.metadata" (dict "root" .root "component" .component "annotations" (ternary .hook (dict) $jobs.hooks)
    "name" (ternary $name (printf "%s-%s" $name (print $template (toJson .reads) | sha256sum | trunc 8)) $jobs.hooks)) | nindent 2 }}
spec:
  backoffLimit: {{ int $jobs.backoffLimit }}
  {{- if $jobs.hooks }}
  activeDeadlineSeconds: {{ int .settings.activeDeadlineSeconds }}
  ttlSecondsAfterFinished: {{ int $jobs.ttlSecondsAfterFinished }}
  {{- end }}
  template:
    {{- $template | nindent 4 }}
{{- end }}

{{- define "meddela.job.template" -}}
{{- $pod := dict "root" .root "login" .root.Values.jobs -}}
metadata:
  {{- include "meddela.job.metadata" . | nindent 2 }}
spec:
  {{- include "meddela.pod" .root | nindent 2 }}
  {{- include "meddela.job.account" .root | nindent 2 }}
  {{- include "meddela.placement" .root.Values.jobs | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: {{ .component }}
      image: {{ include "meddela.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- include "meddela.env.kafka" $pod | nindent 8 }}
      resources:
        {{- include "meddela.job.resources" .root | nindent 8 }}
      securityContext:
        {{- toYaml .root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        {{- include "meddela.mounts" $pod | nindent 8 }}
        {{- range .mounts }}
        - {{ toJson . }}
        {{- end }}
  volumes:
    {{- include "meddela.volumes" $pod | nindent 4 }}
    {{- range .volumes }}
    - {{ toJson . }}
    {{- end }}
{{- end }}

{{- define "meddela.job.resources" -}}
{{- toYaml (.Values.jobs.resources | default .Values.monitor.resources) }}
{{- end }}

{{- define "meddela.probes" -}}
# Two minutes to read the templates and to join the groups.
startupProbe: {httpGet: {path: /startupz, port: http}, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 60}
livenessProbe: {httpGet: {path: /livez, port: http}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3}
readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 3}
ports:
  - {name: http, containerPort: 9090}
{{- end }}

{{/* Where pods may go: to these peers, or else anywhere but to the metadata of clouds. Some networks do not count pods
among addresses. */}}
{{- define "meddela.egress.to" -}}
to:
{{- with . }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  - ipBlock:
      cidr: 0.0.0.0/0
      except: [169.254.169.254/32, 169.254.170.2/32, 169.254.170.23/32, 100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32]
  - ipBlock: {cidr: "::/0", except: ["fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128"]}
  - namespaceSelector: {}
{{- end }}
{{- end }}
