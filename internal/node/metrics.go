package node

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/web/terminal"
)

// meters count what only passes by; everything else is read from the parts when somebody asks.
type meters struct {
	decisions *prometheus.CounterVec
	refused   prometheus.Counter
	start     prometheus.Histogram
	commit    prometheus.Histogram
}

func newMeters() *meters {
	return &meters{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_decisions_total", Help: "Decisions on sessions, by result and by the rule that decided."}, []string{"result", "reason"}),
		refused:   prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_record_refused_total", Help: "Sessions that were not started because they could not be recorded."}),
		start: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sallyport_session_start_seconds", Help: "From the door's request to the device's first channel.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sallyport_record_commit_seconds", Help: "Sealing what was recorded and making it durable: what a keystroke waits for.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5}}),
	}
}

// metrics answers at /metrics. The registry is this gateway's own, so two in one process do not mix.
func (g *Gateway) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(g.meters.decisions, g.meters.refused, g.meters.start, g.meters.commit, &gauges{g}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// metricsByToken is /metrics on the site's own listener. Without the secret it reads as an address that is not there.
func (g *Gateway) metricsByToken() (http.Handler, error) {
	path := g.opt.Config.Listen.MetricsToken
	secret, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("[listen] metrics_token_file: %w", err)
	}
	if len(secret) < 16 {
		return nil, errkind.New(errkind.Usage, "[listen] metrics_token_file: "+path+" holds fewer than 16 characters").WithHint("`openssl rand -hex 32` makes a good one.")
	}
	next := g.metrics()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(got), []byte(secret)) != 1 {
			http.NotFound(w, r)
			return
		}
		connlimit.From(r.Context()).Authenticated()
		next.ServeHTTP(w, r)
	}), nil
}

// gauges reads the parts when Prometheus asks.
type gauges struct{ g *Gateway }

// Describe says nothing, which makes the collector an unchecked one: what a part cannot tell now is left out.
func (*gauges) Describe(chan<- *prometheus.Desc) {}

func (c *gauges) Collect(out chan<- prometheus.Metric) {
	give := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("sallyport_"+name, help, names, nil), kind, v, values...)
	}
	gauge := func(name, help string, v float64, labels ...string) {
		give(prometheus.GaugeValue, name, help, v, labels...)
	}
	count := func(name, help string, v uint64, labels ...string) {
		give(prometheus.CounterValue, name, help, float64(v), labels...)
	}
	g := c.g
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	m := g.lines.Metrics()
	gauge("devices_connected", "Devices with a control line.", float64(m.Connected))
	gauge("devices_outdated", "Devices that were refused because their agent speaks another version of the control "+
		"protocol, and have not come back.", float64(m.Outdated))
	gauge("device_clock_skew_seconds", "The most that a connected device's own clock is off. Nothing is decided by it.", m.ClockSkew.Seconds())
	for version, n := range commonest(m.Agents, 20) {
		gauge("agent_version", "Connected devices by their agent's version.", float64(n), "version", version)
	}
	gauge("sessions", "Sessions by state.", float64(m.Opening), "state", "opening")
	gauge("sessions", "Sessions by state.", float64(max(0, len(g.broker.Live())-m.Opening)), "state", "live")
	count("control_handshakes_total", "Control lines that proved themselves.", m.Handshakes)
	count("control_reconnects_total", "Of those, lines of devices that had been online before.", m.Reconnects)
	count("control_refused_total", "Control lines that did not.", m.Refused+m.Limited)
	count("two_lines_one_key_total", "Disputes: two lines show one key and both answer, or a generation that nobody gave out.", m.Disputed)
	count("intercepted_total", "Control lines with something inside TLS.", m.Intercepted)

	count("notify_failed_total", "Attempts to send a notification that failed.", g.notifications.Failed())
	if n, err := g.DB.CountNotifications(ctx, store.NotificationPending); err == nil {
		gauge("notify_pending", "Notifications that wait for their first attempt or the next one.", float64(n))
	}
	if n, err := g.DB.CountNotifications(ctx, store.NotificationDead); err == nil {
		gauge("notify_dead", "Notifications that were not delivered and are not tried again.", float64(n))
	}

	if g.opt.Limits != nil {
		limits := g.opt.Limits.Counts()
		gauge("unauthenticated_connections", "Connections without an authenticated request or device.",
			float64(limits.Waiting))
		for reason, n := range map[string]uint64{"peer": limits.PerPeer, "total": limits.Total, "time": limits.Late} {
			count("unauthenticated_closed_total", "Of those, closed: too many of one peer, too many in all, too old.",
				n, "reason", reason)
		}
	}

	p := g.record.Progress()
	gauge("record_pending_bytes", "Recorded and not durable yet.", float64(p.Pending))
	if p.Free >= 0 {
		gauge("disk_free_bytes", "Free where recordings are kept.", float64(p.Free))
	}
	if info, err := os.Stat(g.path("recordings", "journal")); err == nil {
		gauge("journal_bytes", "Size of the recorder's journal.", float64(info.Size()))
	}
	head, err := g.Signer.Head(ctx)
	gauge("signer_up", "Whether the signer answers.", yes(err == nil))
	if size, err := headSize(head); err == nil {
		gauge("ledger_size", "Entries of the log.", float64(size))
	}
	if g.own != nil {
		gauge("ledger_copy_behind", "Whether a copy of the log lacks something.", yes(g.own.Behind() != nil))
	}
	for name, err := range g.providers.results() {
		gauge("idp_up", "Whether the provider answered when it was last asked, within the last half minute.",
			yes(err == nil), "provider", name)
	}
	g.withoutRefresh(ctx, gauge)
	if g.cert != nil {
		leaf, err := g.cert.Served()
		gauge("cert_expiry_seconds", "Until the certificate that is served ends.", time.Until(leaf.NotAfter).Seconds())
		gauge("cert_reload_failed", "Whether the certificate's files hold something else that cannot be served.",
			yes(err != nil))
	}
	for archive, age := range backupAges(g.opt.Config, time.Now()) {
		gauge("backup_age_seconds",
			"Seconds since the last complete backup; +Inf: none was made. Not reported for a separate signer.",
			age, "archive", string(archive))
	}
	v := g.rules.Version()
	gauge("policy_hash_info", "The policy in force.", 1, "version", strconv.FormatUint(v.Version, 10), "sha256", hex.EncodeToString(v.SHA256[:]))
}

// commonest keeps the most frequent words and counts the rest as "other": a device names its version itself, and no machine may
// fill the monitoring with names.
func commonest(counts map[string]int, most int) map[string]int {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	out := map[string]int{}
	for i, w := range words {
		name := w
		if i >= most {
			name = "other"
		}
		out[name] += counts[w]
	}
	return out
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// countedStore is the database, with the broker's decisions counted as they pass.
type countedStore struct {
	gateway.Store
	m *meters
}

func (s countedStore) AddDecided(ctx context.Context, row store.Session, d store.Decision,
	events ...store.AuditEvent) error {
	result, reason := "refused", d.Rule
	if d.Allowed {
		result = "allowed"
	}
	if reason == "" {
		reason = "no rule"
	}
	s.m.decisions.WithLabelValues(result, reason).Inc()
	return s.Store.AddDecided(ctx, row, d, events...)
}

// countedRecorder counts what could not be recorded.
type countedRecorder struct {
	recorder.Recorder
	m *meters
}

func (r countedRecorder) Ready() error {
	err := r.Recorder.Ready()
	if err != nil {
		r.m.refused.Inc()
	}
	return err
}

func (r countedRecorder) Create(ctx context.Context, c recorder.PartConfig) (recorder.Recording, error) {
	rec, err := r.Recorder.Create(ctx, c)
	if err != nil {
		r.m.refused.Inc()
	}
	return rec, err
}

// timedBroker measures how long opening takes.
type timedBroker struct {
	terminal.Broker
	m *meters
}

func (b timedBroker) Open(ctx context.Context, sid id.Session, sink gateway.Sink) (terminal.Channel, error) {
	began := time.Now()
	s, err := b.Broker.Open(ctx, sid, sink)
	if err == nil {
		b.m.start.Observe(time.Since(began).Seconds())
	}
	return s, err
}
