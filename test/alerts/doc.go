// Command alerts makes each alert of the chart fire, on real servers: it runs
// every role and a real Prometheus with the chart's rules, breaks one thing after
// the other, and prints which alerts fired for it, and after how long. Run it by
// test/alerts/run.
package main
