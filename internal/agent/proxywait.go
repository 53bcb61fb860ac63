package agent

import (
	"time"

	"github.com/sallyport/sallyport/internal/reach"
)

// Waits after a proxy has refused the password. Many proxies lock an account after a few wrong passwords within half an
// hour. Other devices that use the account are then locked out too.
const (
	firstRefused   = 2 * time.Minute  // the wait after the first refusal; it doubles with each further one
	longestRefused = 10 * time.Minute // bound of the wait
	proxyLook      = 5 * time.Second  // how often the setting is read during a wait; a changed one is tried at once
)

// refusedProxy delays the next dial to every host that is reached through the proxy.
type refusedProxy struct {
	url   string    // with the password; empty: that of the environment
	times int       // refusals in a row; 0: no wait
	until time.Time // no dial before this time
}

// end records the end of a try through a proxy. Only a good line shows that the proxy accepts the password: any other
// failure may come from before the proxy checked it.
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

// waits reports whether the next dial has to wait because of the proxy.
func (r *refusedProxy) waits(now time.Time) bool { return now.Before(r.until) }

// proxyChanged ends the wait if the setting has changed. It ignores a setting that cannot be read, because its file may
// be half written.
func (a *Agent) proxyChanged(r *refusedProxy) bool {
	p, err := a.cfg.proxy()
	if err != nil || p.URL == r.url {
		return false
	}
	*r = refusedProxy{}
	return true
}
