package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// brokenElsewhere are the sensors that other tests break, and those tests.
var brokenElsewhere = map[string]string{
	"metric ledger_copy_behind":        "internal/e2e/serve_test.go: func (p *plant) copyBehind(",
	"metric device_clock_skew_seconds": "gateway/rendezvous/dispute_test.go: func TestAMachinesOwnClockIsShownHoweverWrong(",
	"ready log":                        "internal/e2e/serve_test.go: func (p *plant) logFails(",
	"ready gateway":                    "internal/e2e/serve_test.go: func (p *plant) drains(",
	"doctor clock":                     "internal/node/examine_test.go: func TestAClockWithoutSynchronisationIsReported(",
	"ready policy":                     "internal/e2e/restore_test.go: func (k *rehearsal) olderPolicy(",
	"ready agents":                     "internal/e2e/oldagent_test.go: func (h *sensorHouse) oldAgent(",
	"ready notifications":              "internal/e2e/sensornotifications_test.go: func (h *sensorHouse) notificationsFail(",
	"doctor restored":                  "internal/e2e/restore_test.go: func TestAWipedInstallationIsRestoredAndItsLogGoesOn(",
	"doctor promise 6":                 "internal/e2e/signer_test.go: func TestTheSignerApart(",
}

// statements are findings that describe the product and cannot fail.
var statements = []string{"doctor promise 2", "doctor promise 3", "doctor promise 4", "doctor promise 7",
	"doctor promise 8"}

// sensorNames reads the names of all sensors from the sources.
func sensorNames(t *testing.T) []string {
	t.Helper()
	var out []string
	for file, patterns := range map[string]map[string]string{
		"metrics.go":           {"metric": `(?:gauge|count)\("(\w+)"|Name: "sallyport_(\w+)"`},
		"ready.go":             {"ready": `\{name: "(\w+)"`},
		"examine.go":           {"doctor": `e\.add\("([\w ]+)"`},
		"examinesite.go":       {"doctor": `e\.add\("([\w ]+)"`},
		"examinerecordings.go": {"doctor": `e\.add\("([\w ]+)"`},
		"examinebackups.go":    {"doctor": `e\.add\("([\w ]+)"`},
		"examinerestored.go":   {"doctor": `e\.add\("([\w ]+)"`},
		"promises.go":          {"doctor": `"(promise \d):`},
	} {
		raw, err := os.ReadFile(filepath.Join(testenv.Root(), "internal", "node", file))
		if err != nil {
			t.Fatal(err)
		}
		for kind, pattern := range patterns {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(raw), -1) {
				out = append(out, kind+" "+strings.TrimSpace(strings.Join(m[1:], "")))
			}
		}
	}
	if len(out) < 40 {
		t.Fatalf("found only %q", out)
	}
	return out
}

// TestEverySensorReportsItsFault breaks the subject of each metric, each line of /readyz and each finding of doctor,
// and expects them to report it. A sensor that no step breaks fails the test.
func TestEverySensorReportsItsFault(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root can take rights from the gateway's user")
		return
	}
	h := newSensorHouse(t)
	broken := map[string]bool{}
	for _, s := range statements {
		broken[s] = true
	}
	for sensor, where := range brokenElsewhere {
		file, function, _ := strings.Cut(where, ": ")
		raw, err := os.ReadFile(filepath.Join(testenv.Root(), file))
		if err != nil || !strings.Contains(string(raw), function) {
			t.Errorf("%s: %s has no %s…) (%v)", sensor, file, function, err)
		}
		broken[sensor] = true
	}
	for _, s := range h.steps() {
		t.Run(s.what, func(t *testing.T) { h.take(t, s) })
		for name := range s.metrics {
			broken["metric "+name] = true
		}
		for name := range s.ready {
			broken["ready "+name] = true
		}
		for name := range s.doctor {
			broken["doctor "+name] = true
		}
	}
	for _, name := range sensorNames(t) {
		if broken[name] || name == "doctor identity" && broken["doctor identity acme"] {
			continue
		}
		t.Errorf("no test breaks what %q watches", name)
	}
}

// step breaks something and lists the expected reports.
type step struct {
	what    string
	breaks  func(t *testing.T)
	metrics map[string]reading
	ready   map[string]string // by part: what its line must hold
	warns   string            // what a line "warning: " must hold
	doctor  map[string]string // by finding: what its text must hold; its state must not be ok
	mend    func(t *testing.T)
}

// reading judges the sum of a metric's series before and after. NaN-free: there says whether any is given now.
type reading func(before, now float64, there bool) bool

func is(want float64) reading {
	return func(_, now float64, there bool) bool { return there && now == want }
}
func below(most float64) reading {
	return func(_, now float64, there bool) bool { return there && now < most }
}
func grows(before, now float64, there bool) bool   { return there && now > before }
func shrinks(before, now float64, there bool) bool { return there && now < before }
func missing(_, _ float64, there bool) bool        { return !there }

func (h *sensorHouse) take(t *testing.T, s step) {
	before := h.scrape(t)
	if s.mend != nil {
		defer func() { s.mend(t); h.WaitReady(h.gateway) }()
	}
	s.breaks(t)
	var wrong []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if wrong = h.unnoticed(t, s, before); len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not noticed:\n%s\n%s", strings.Join(wrong, "\n"), h.gateway.Output())
		}
	}
}

// unnoticed lists the reports that are still missing. Doctor, a process of its own, is asked last.
func (h *sensorHouse) unnoticed(t *testing.T, s step, before map[string]float64) (out []string) {
	if len(s.metrics) > 0 {
		now := h.scrape(t)
		for name, ok := range s.metrics {
			if v, there := now[name]; !ok(before[name], v, there) {
				out = append(out, fmt.Sprintf("%s was %v and is %v, given %v", name, before[name], v, there))
			}
		}
	}
	if len(s.ready) > 0 || s.warns != "" {
		began := time.Now()
		_, text, err := h.Ask("/readyz")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("/readyz took %s; promised are 2 s", took)
		}
		for part, want := range s.ready {
			if !hasLine(text, part+": ", want) {
				out = append(out, fmt.Sprintf("/readyz: %q %v, want %s: …%s", text, err, part, want))
			}
		}
		if s.warns != "" && !hasLine(text, "warning: ", s.warns) {
			out = append(out, fmt.Sprintf("/readyz: %q %v, want a warning …%s", text, err, s.warns))
		}
	}
	if len(out) > 0 || len(s.doctor) == 0 {
		return out
	}
	all := read(t, testenv.Finish(t, h.Command("doctor", "--config", h.Config, "--json")))
	for what, want := range s.doctor {
		if all[what].State == "ok" || !strings.Contains(all[what].Text, want) {
			out = append(out, fmt.Sprintf("doctor, %s: got %+v, want …%s", what, all[what], want))
		}
	}
	return out
}

func hasLine(text, prefix, part string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) && strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// scrape gives each metric's series, and for a metric the sum of its series; a histogram counts by its count.
func (h *sensorHouse) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + h.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		series, value, _ := strings.Cut(s.Text(), " ")
		series, ours := strings.CutPrefix(series, "sallyport_")
		if v, err := strconv.ParseFloat(value, 64); ours && err == nil {
			name, labels, _ := strings.Cut(series, "{")
			if name == "policy_hash_info" { // the version is what it tells
				_, version, _ := strings.Cut(labels, `version="`)
				v, _ = strconv.ParseFloat(version[:strings.IndexByte(version, '"')], 64)
			}
			out[strings.TrimSuffix(name, "_count")] += v
			if name != series {
				out[series] = v
			}
		}
	}
	io.Copy(io.Discard, resp.Body)
	return out
}
