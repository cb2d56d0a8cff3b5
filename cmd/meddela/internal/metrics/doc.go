// Package metrics shows Prometheus what the roles count. Labels are bounded:
// lanes, roles, channels, statuses and reasons are closed lists, providers and
// templates are what operators have named, and there is a limit to those too.
package metrics
