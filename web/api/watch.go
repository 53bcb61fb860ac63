package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/web/apitype"
)

// Times of a watched session.
const (
	watchCheck = 2 * time.Second  // between two checks of the watcher's sign-in and rights
	watchAlive = 20 * time.Second // between two signs of life, so that no proxy takes the connection for a dead one
	watchStall = 30 * time.Second // in which a watcher must take what is written
)

func (a *API) registerWatch() {
	handle(a, huma.Operation{OperationID: "watch-session", Method: http.MethodGet, Path: "/api/v1/sessions/{id}/watch",
		Tags: []string{"records"}, Summary: "What a channel of a running session writes, as it comes",
		Description: "One's own sessions, those on one's own devices, or with the duty review or approve. Watching is an event of " +
			"the log. The answer begins with the channel's beginning and ends with the channel. Its form is that of output. " +
			"A stretch of stream 0 is the gateway's own: a text says why the watching ends, an empty one only keeps the connection."},
		a.watchSession)
}

// mayWatch says whether somebody may look on while a session runs. An approver may, who can also end it.
func (a *API) mayWatch(ctx context.Context, who *Asker, s store.Session) (bool, error) {
	if who.has(authz.DutyApprove) {
		return true, nil
	}
	return a.mayReplay(ctx, who, s)
}

func (a *API) watchSession(ctx context.Context, who *Asker, in *struct {
	SessionID
	ChannelNumber
	Text bool `query:"text" doc:"without control characters and escape sequences, as a transcript"`
}) (*huma.StreamResponse, error) {
	s, err := a.find(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	ok, err := a.mayWatch(ctx, who, s)
	if err == nil && !ok {
		err = who.needs(authz.DutyReview)
	}
	if err != nil {
		return nil, err
	}
	opt := archive.FollowOptions{Channel: max(in.number(), archive.FirstChannel), Text: in.Text}
	live, err := a.cfg.Broker.Watch(s.ID, opt.Channel)
	if err != nil {
		return nil, err
	}
	if err := a.viewed(ctx, who, s.ID, "watch"); err != nil {
		return nil, err
	}
	s, parts, err := a.withParts(ctx, s)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		a.watch(newWatcher(w), r, s, parts, opt, live)
	}}, nil
}

// watch writes until the channel ends, the watcher leaves or loses the right to watch.
func (a *API) watch(w *watcher, r *http.Request, s store.Session, parts []store.Part,
	opt archive.FollowOptions, live *gateway.Watched) {
	defer w.rc.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	ctx, stop := context.WithCancelCause(r.Context())
	var checks sync.WaitGroup
	checks.Go(func() { stop(a.guardWatch(ctx, w, r, s)) })
	err := a.cfg.Records.Watch(ctx, parts, opt, live.Confirmed, w.write)
	stop(nil)
	checks.Wait()
	var why *errkind.Error
	switch {
	case err == nil || r.Context().Err() != nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.cfg.Log.Info("a watcher took nothing, and was cut off", slog.String("session", s.ID.String()))
		panic(http.ErrAbortHandler)
	case errors.As(err, &why):
		text, _, _ := errkind.ForPeople(why)
		_ = w.write(apitype.Written{Stream: apitype.GatewayStream, Data: []byte(text)})
	default:
		a.cfg.Log.Error("a watched session was cut off", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
}

var errMayNotWatch = errkind.New(errkind.Denied, "you may no longer watch this session")

// guardWatch returns why the watching must end, once it must. The rights may change at any time, and so may the sign-in.
func (a *API) guardWatch(ctx context.Context, w *watcher, r *http.Request, s store.Session) error {
	tick, alive := time.NewTicker(watchCheck), time.NewTicker(watchAlive)
	defer tick.Stop()
	defer alive.Stop()
	if err := w.write(apitype.Written{Stream: apitype.GatewayStream}); err != nil { // the answer has begun
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
			if err := w.write(apitype.Written{Stream: apitype.GatewayStream}); err != nil {
				return err
			}
		case <-tick.C:
			who, err := a.cfg.Who(r)
			if err != nil {
				return errMayNotWatch.Because(err)
			}
			who.policy = a.cfg.Rules.Snapshot().Policy
			if ok, err := a.mayWatch(ctx, &who, s); !ok {
				return errMayNotWatch.Because(err)
			}
		}
	}
}

// watcher is the answer to somebody who watches. Each stretch is sent at once.
type watcher struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu sync.Mutex // guards writes
}

func newWatcher(w http.ResponseWriter) *watcher {
	w.Header().Set("Content-Type", "application/octet-stream")
	return &watcher{w: w, rc: http.NewResponseController(w)}
}

func (w *watcher) write(s apitype.Written) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rc.SetWriteDeadline(time.Now().Add(watchStall))
	if err := apitype.WriteWritten(w.w, s); err != nil {
		return err
	}
	return w.rc.Flush()
}
