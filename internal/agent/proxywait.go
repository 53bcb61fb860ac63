package agent

import (
	"time"

	"github.com/sallyport/sallyport/internal/reach"
)

// Waits after a proxy has refused the password. Many proxies lock an account after a few wrong passwords within half an
// hour, and with it everything else that uses the account.
const (
	firstRefused   = 2 * time.Minute  // it doubles with each refusal
	longestRefused = 10 * time.Minute // up to this
	proxyLook      = 5 * time.Second  // how often the setting is read meanwhile; another one is tried at once
)

// refusedProxy keeps all hosts back: they are reached through the same proxy.
type refusedProxy struct {
	url   string // with the password; empty: that of the environment
	times int    // refusals one after the other; 0: the proxy does not keep anything back
	until time.Time
}

// end records the end of a try through a proxy. Only a good line shows that the proxy takes the password; another
// failure may come from before it was asked.
func (r *refusedProxy) end(e ended, now time.Time) {
	if e.good {
		*r = refusedProxy{}
		return
	}
	if cause, _ := reach.Of(e.err); cause != reach.ProxyWrongPassword {
		return
	}
	if r.url != e.proxy {
		*r = refusedProxy{url: e.proxy}
	}
	r.until = now.Add(min(firstRefused<<min(r.times, 10), longestRefused))
	r.times++
}

// waits reports whether the proxy keeps the next dial back.
func (r *refusedProxy) waits(now time.Time) bool { return now.Before(r.until) }

// proxyChanged ends the wait if the setting is another one now. One that cannot be read may be half written.
func (a *Agent) proxyChanged(r *refusedProxy) bool {
	p, err := a.cfg.proxy()
	if err != nil || p.URL == r.url {
		return false
	}
	*r = refusedProxy{}
	return true
}
