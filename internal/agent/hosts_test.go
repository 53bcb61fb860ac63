package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/wire"
)

var (
	errLost = errors.New("the line was lost")
	start   = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
)

func closed(code int, text string) error {
	return fmt.Errorf("line: %w", &websocket.CloseError{Code: code, Text: text})
}

// drawn gives the shortest and the longest of many waits after a try.
func drawn(before int, e ended) (least, most time.Duration) {
	least = 24 * time.Hour
	for range 2000 {
		t := tries{}
		t.of("a").failures = before
		t.end("a", e, start)
		_, at := t.next([]string{"a"})
		least, most = min(least, at.Sub(start)), max(most, at.Sub(start))
	}
	return least, most
}

// Waits are spread over the whole range below their bound, so that devices of one gateway do not reconnect together. A
// wait that a gateway asks for is added.
func TestWaitsAreSpreadOverAllOfTheirRange(t *testing.T) {
	busy := fmt.Errorf("dial: %w", &wire.DialError{Status: 503, RetryAfter: 30 * time.Second})
	hour := fmt.Errorf("dial: %w", &wire.DialError{Status: 503, RetryAfter: time.Hour})
	good := func(err error) ended { return ended{good: true, lasted: time.Hour, err: err} }
	for name, c := range map[string]struct {
		failures    int
		e           ended
		from, below time.Duration
	}{
		"first failure":          {0, ended{err: errLost}, 0, time.Second},
		"second failure":         {1, ended{err: errLost}, 0, 2 * time.Second},
		"fifth failure":          {4, ended{err: errLost}, 0, 16 * time.Second},
		"failures of a day":      {5000, ended{err: errLost}, 0, 30 * time.Second},
		"good line lost":         {5, ended{good: true, lasted: time.Minute, err: errLost}, 0, time.Second},
		"good line lost soon":    {5, ended{good: true, lasted: time.Second, err: errLost}, 0, 2 * time.Second},
		"line that proved only":  {3, ended{lasted: time.Second, err: errLost}, 0, 8 * time.Second},
		"Retry-After 30":         {0, ended{err: busy}, 30 * time.Second, 31 * time.Second},
		"restart":                {5, good(closed(1012, "retry-after=7")), 7 * time.Second, 8 * time.Second},
		"restart, line not good": {5, ended{err: closed(1012, "retry-after=7")}, 7 * time.Second, 8 * time.Second},
		"restart, no number":     {0, good(closed(1012, "retry-after=soon")), 0, time.Second},
		"restart, for ever":      {0, good(closed(1012, "retry-after=9999999999")), time.Hour, time.Hour + time.Second},
		"not good, for ever":     {0, ended{err: closed(1012, "retry-after=3600")}, mostAsked, mostAsked + time.Second},
		"Retry-After, for ever":  {0, ended{err: hour}, mostAsked, mostAsked + time.Second},
		"unknown":                {0, ended{err: closed(wire.CloseUnknown, "")}, 2 * time.Minute, 5 * time.Minute},
		"revoked on a good line": {0, good(closed(wire.CloseUnknown, "")), 2 * time.Minute, 5 * time.Minute},
		"gateway of version 1":   {0, ended{err: checkVersion("a", 1)}, 2 * time.Minute, 5 * time.Minute},
		"version refused":        {0, ended{err: lost("a", closed(wire.CloseVersion, "retry-after=1"))}, 2 * time.Minute, 5 * time.Minute},
		"version, on a good one": {0, good(lost("a", closed(wire.CloseVersion, ""))), 2 * time.Minute, 5 * time.Minute},
		"replaced":               {3, good(closed(wire.CloseReplaced, "")), 0, 8 * time.Second},
	} {
		least, most := drawn(c.failures, c.e)
		if span := c.below - c.from; least < c.from || least > c.from+span/20 || most >= c.below ||
			most < c.below-span/20 {
			t.Errorf("%s: got waits from %s to %s, want %s to %s", name, least, most, c.from, c.below)
		}
	}
}

// answers gives the answer of each host: an error, or nil for a line.
type answers func(host string, at time.Time) error

// walk dials in simulated time, and says which hosts were tried, and which answered when.
func walk(t *tries, hosts []string, now time.Time, answers answers, most int) (tried []string, up string,
	at time.Time) {
	for range most {
		host, due := t.next(hosts)
		if due.After(now) {
			now = due
		}
		tried = append(tried, host)
		err := answers(host, now)
		if err == nil {
			return tried, host, now
		}
		t.end(host, ended{err: err}, now)
	}
	return tried, "", now
}

func TestAllHostsAreTriedBeforeAnythingIsWaitedFor(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	for alive := range hosts {
		var tr tries
		tried, up, at := walk(&tr, hosts, start, func(h string, _ time.Time) error {
			if h == hosts[alive] {
				return nil
			}
			return errLost
		}, 10)
		if up != hosts[alive] || !at.Equal(start) || len(tried) != alive+1 {
			t.Errorf("%s answers: tried %v until %s later", hosts[alive], tried, at.Sub(start))
		}
	}
}

// A host that takes long to fail must not keep another one, that was not tried yet, from its turn.
func TestASlowHostDoesNotStarveTheOthers(t *testing.T) {
	var tr tries
	now := start
	tried := map[string]int{}
	for range 30 {
		host, due := tr.next([]string{"slow", "other", "third"})
		if due.After(now) {
			now = due
		}
		tried[host]++
		if host == "slow" {
			now = now.Add(10 * time.Second)
		}
		tr.end(host, ended{err: errLost}, now)
	}
	if tried["other"] < 8 || tried["third"] < 8 {
		t.Errorf("tries of each host: %v, want about ten", tried)
	}
}

func TestAfterAnOutageOfAnyLengthADeviceIsBackWithinThirtySeconds(t *testing.T) {
	for _, hosts := range [][]string{{"a"}, {"a", "b", "c"}} {
		var worst, sum time.Duration
		const many = 500
		for range many {
			tr := tries{last: "a"}
			over := start.Add(5 * time.Minute)
			_, up, at := walk(&tr, hosts, start, func(_ string, at time.Time) error {
				if at.Before(over) {
					return errLost
				}
				return nil
			}, 10_000)
			if up == "" {
				t.Fatal("never came back")
			}
			worst, sum = max(worst, at.Sub(over)), sum+at.Sub(over)
		}
		if worst > 30*time.Second {
			t.Errorf("%d hosts: back after up to %s, want at most 30 s", len(hosts), worst)
		}
		t.Logf("%d hosts: back %s after an outage of five minutes on average, %s at most", len(hosts), sum/many, worst)
	}
}

// One gateway refuses the device and the other is down: the refusal keeps its own host back only.
func TestARefusalDelaysOnlyItsHost(t *testing.T) {
	var tr tries
	tried, _, at := walk(&tr, []string{"refuses", "down"}, start, func(h string, _ time.Time) error {
		if h == "refuses" {
			return closed(wire.CloseUnknown, "")
		}
		return errLost
	}, 8)
	n := 0
	for _, h := range tried {
		if h == "refuses" {
			n++
		}
	}
	if n != 1 || at.Sub(start) > 2*time.Minute {
		t.Errorf("tried %v within %s, want one try of the gateway that refuses", tried, at.Sub(start))
	}
}

func TestTheHostOfTheLastGoodLineIsDialledFirst(t *testing.T) {
	var tr tries
	tr.end("b", ended{good: true, lasted: time.Hour, err: errLost}, start)
	if host, _ := tr.next([]string{"a", "b", "c"}); host != "b" {
		t.Errorf("got %s first, want b", host)
	}
	if host, _ := tr.next([]string{"a", "c"}); host != "a" {
		t.Errorf("got %s first once b is no longer in the bundle, want a", host)
	}
}

// A gateway that accepts lines and crashes at once must not get its whole fleet back each time.
func TestLinesThatEndSoonAreTriedAgainMoreSlowly(t *testing.T) {
	bounds := []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second}
	most := make([]time.Duration, len(bounds))
	for range 500 {
		var tr tries
		for i := range bounds {
			tr.end("a", ended{good: true, lasted: time.Second, err: errLost}, start)
			_, at := tr.next([]string{"a"})
			most[i] = max(most[i], at.Sub(start))
		}
		tr.end("a", ended{good: true, lasted: time.Minute, err: errLost}, start)
		if _, at := tr.next([]string{"a"}); at.Sub(start) >= time.Second {
			t.Fatalf("after a steady line: got a wait of %s, want less than a second", at.Sub(start))
		}
	}
	for i, bound := range bounds {
		if most[i] >= bound || most[i] < bound*9/10 {
			t.Errorf("line %d that ended soon: got waits up to %s, want up to %s", i+1, most[i], bound)
		}
	}
}

func TestAChangeOfTheNetworkEndsOwnWaitsAndNotThoseThatAGatewayAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		good bool
		ends bool
	}{
		"own back-off":      {errLost, false, true},
		"unknown":           {closed(wire.CloseUnknown, ""), false, false},
		"Retry-After":       {&wire.DialError{Status: 503, RetryAfter: time.Minute}, false, false},
		"restart":           {closed(1012, "retry-after=20"), true, false},
		"a good line's end": {errLost, true, true},
	} {
		var tr tries
		tr.of("a").failures = 20
		tr.of("a").due = start.Add(25 * time.Second)
		tr.end("a", ended{err: c.err, good: c.good, lasted: time.Hour}, start)
		if name == "own back-off" {
			tr.of("a").due = start.Add(25 * time.Second) // the longest that it may be
		}
		now := start.Add(time.Second)
		if !tr.networkChanged(now, false) {
			t.Errorf("%s: the first change counts", name)
		}
		if _, at := tr.next([]string{"a"}); at.Before(now.Add(changeWait)) != c.ends {
			t.Errorf("%s: waits until %s after the change", name, at.Sub(now))
		}
		if tr.networkChanged(now.Add(resetEvery-1), false) {
			t.Errorf("%s: a second change within %s counts", name, resetEvery)
		}
		if !tr.networkChanged(now.Add(2), true) {
			t.Errorf("%s: the owner's wish does not count", name)
		}
		now = now.Add(2)
		if _, at := tr.next([]string{"a"}); !at.Before(now.Add(changeWait)) {
			t.Errorf("%s: waits until %s after the owner's wish", name, at.Sub(now))
		}
		if !tr.networkChanged(now.Add(resetEvery), false) {
			t.Errorf("%s: a change after %s does not count", name, resetEvery)
		}
	}
}
