package notifications

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// When attempts are made.
const (
	GiveUpAfter = 24 * time.Hour   // a notification that fails for so long is a dead letter
	firstPause  = 30 * time.Second // after the first attempt; doubles with each
	longPause   = 15 * time.Minute // at most
	restAfter   = 15 * time.Second // of a channel after a failure, so that one attempt and not all of them waits for it

	lookEvery = 2 * time.Second // at the outbox; Wake is faster
	atOnce    = 100             // notifications of one channel in a round
	keepSent  = 30 * 24 * time.Hour
	keepDead  = 90 * 24 * time.Hour
	storeTime = 5 * time.Second // to store an outcome while the gateway stops
)

// Run sends notifications until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	broken := false
	for {
		err := o.Round(ctx)
		if err != nil && !broken && ctx.Err() == nil {
			o.cfg.Log.Error("notifications cannot be read or stored; trying again", slog.Any("error", err))
		}
		broken = err != nil
		select {
		case <-tick.C:
		case <-o.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Round sends what is due now, on all channels at once, and waits for the slowest. A channel that hangs stops at its first
// timeout, and one that is slow after drainFor.
// The error is of the database.
func (o *Outbox) Round(ctx context.Context) error {
	if err := o.prune(ctx); err != nil {
		return err
	}
	channels, err := o.cfg.Rows.DueChannels(ctx, o.cfg.Now())
	if err != nil {
		return err
	}
	errs := make(chan error, len(channels))
	var all sync.WaitGroup
	for _, c := range channels {
		if !o.resting(c) {
			all.Go(func() { errs <- o.drain(ctx, c) })
		}
	}
	all.Wait()
	close(errs)
	for e := range errs {
		if e != nil {
			err = e
		}
	}
	return err
}

// drainFor is about how long a slow channel may hold up the others.
const drainFor = 10 * time.Second

// drain sends the due notifications of a channel, up to the first failure that is not the notification's own.
func (o *Outbox) drain(ctx context.Context, channel string) error {
	due, err := o.cfg.Rows.DueNotifications(ctx, channel, o.cfg.Now(), atOnce)
	if err != nil {
		return err
	}
	began := time.Now()
	for _, n := range due {
		if time.Since(began) > drainFor {
			return nil // the next round goes on; the other channels are due
		}
		failure, err := o.attempt(ctx, n.ID)
		if err != nil || ctx.Err() != nil {
			return err
		}
		o.setResting(channel, failure)
		if failure != nil && !notify.IsOwn(failure) {
			return nil
		}
	}
	return nil
}

// attempt sends one notification. failure says why it was not accepted; err is of the database.
func (o *Outbox) attempt(ctx context.Context, notification string) (failure, err error) {
	n, err := o.cfg.Rows.ChangeNotification(ctx, notification, func(n *store.Notification) error {
		if n.State != store.NotificationPending {
			return errkind.New(errkind.Conflict, "the notification is "+n.State)
		}
		n.Attempts++
		n.NextTry = o.cfg.Now().Add(pause(n.Attempts))
		return nil
	})
	if err != nil {
		return nil, err
	}
	failure = o.send(ctx, n)
	if failure != nil && ctx.Err() != nil {
		return failure, nil // the gateway stops; the next attempt is due after the pause
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	n, err = o.cfg.Rows.ChangeNotification(end, notification, func(n *store.Notification) error { o.outcome(n, failure); return nil })
	if err == nil && n.State == store.NotificationDead {
		o.cfg.Log.Error("a notification was not delivered and will not be tried again", slog.String("notification", n.ID), slog.String("kind", n.Kind),
			slog.String("channel", n.Channel), slog.String("error", n.Error))
	}
	return failure, err
}

func (o *Outbox) outcome(n *store.Notification, failure error) {
	now := o.cfg.Now()
	switch {
	case failure == nil:
		n.State, n.Done, n.NextTry, n.Error = store.NotificationSent, now, time.Time{}, ""
	case notify.IsPermanent(failure), !now.Before(n.GiveUp):
		n.State, n.Done, n.NextTry, n.Error = store.NotificationDead, now, time.Time{}, notify.Line(failure.Error(), longText)
	default:
		n.Error = notify.Line(failure.Error(), longText)
	}
	if failure != nil {
		o.failed.Add(1)
	}
}

// pause is the time between an attempt, counted from 1, and the next one.
func pause(attempt int) time.Duration {
	if attempt > 10 {
		return longPause
	}
	return min(firstPause<<(attempt-1), longPause)
}

// send hands a notification to its receiver.
func (o *Outbox) send(ctx context.Context, n store.Notification) error {
	e, err := parseEvent(n.Event)
	if err != nil {
		return notify.Permanent(fmt.Errorf("the stored event cannot be read: %w", err))
	}
	if n.Channel == store.ChannelMail {
		if o.cfg.Mail == nil {
			return notify.Permanent(fmt.Errorf("no mail server is configured"))
		}
		return o.cfg.Mail.Send(ctx, notify.Mail{ID: n.ID, To: n.To, Subject: e.subject(), Text: e.mailText(o.cfg.Name), At: n.Created})
	}
	name := strings.TrimPrefix(n.Channel, store.ChannelWebhook)
	i := slices.IndexFunc(o.cfg.Webhooks, func(w Webhook) bool { return w.Name == name })
	if i < 0 {
		return notify.Permanent(fmt.Errorf("no webhook of this name is configured"))
	}
	body, err := e.document(o.cfg.Webhooks[i].Format)
	if err != nil {
		return notify.Permanent(err)
	}
	return o.cfg.Webhooks[i].To.Send(ctx, n.ID, body)
}

func (w *Webhook) wants(kind string) bool { return len(w.Kinds) == 0 || slices.Contains(w.Kinds, kind) }

func (o *Outbox) resting(channel string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cfg.Now().Before(o.rest[channel])
}

// setResting notes the outcome of an attempt. It logs when a channel begins to fail, and when it works again.
func (o *Outbox) setResting(channel string, failure error) {
	o.mu.Lock()
	_, failing := o.rest[channel]
	switch {
	case failure == nil:
		delete(o.rest, channel)
	case !notify.IsOwn(failure):
		o.rest[channel] = o.cfg.Now().Add(restAfter)
	}
	o.mu.Unlock()
	switch {
	case failure == nil && failing:
		o.cfg.Log.Info("notifications are delivered again", slog.String("channel", channel))
	case failure != nil && !failing && !notify.IsOwn(failure):
		o.cfg.Log.Warn("notifications are not delivered; trying again", slog.String("channel", channel),
			slog.String("error", notify.Line(failure.Error(), longText)))
	}
}

// prune deletes old notifications, once an hour.
func (o *Outbox) prune(ctx context.Context) error {
	now := o.cfg.Now()
	o.mu.Lock()
	due := now.Sub(o.pruned) >= time.Hour
	o.mu.Unlock()
	if !due {
		return nil
	}
	if _, err := o.cfg.Rows.PruneNotifications(ctx, now.Add(-keepSent), now.Add(-keepDead)); err != nil {
		return err
	}
	o.mu.Lock()
	o.pruned = now
	o.mu.Unlock()
	return nil
}
