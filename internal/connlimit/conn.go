package connlimit

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// Conn is a connection that counts until it is authenticated or closed.
type Conn struct {
	net.Conn
	limits *Limits
	peer   string

	place *list.Element // nil: it does not count; guarded by limits.mu, as is late
	late  *time.Timer
}

// Authenticated ends the counting for as long as the connection lives. It may be called again, and on nil, which From
// gives for a connection that is not limited.
func (c *Conn) Authenticated() {
	if c == nil {
		return
	}
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	c.leave()
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.Authenticated() // a closed connection no longer counts either
	return c.Conn.Close()
}

// SyscallConn implements syscall.Conn, for socket options.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// expire closes a connection that still counts after Time.
func (c *Conn) expire() {
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	if c.leave() {
		c.limits.counts.Late++
		reset(c.Conn)
	}
}

// leave takes the connection out of the counts, if it is in them. limits.mu is held.
func (c *Conn) leave() bool {
	if c.place == nil {
		return false
	}
	l := c.limits
	l.waiting.Remove(c.place)
	if l.peers[c.peer]--; l.peers[c.peer] == 0 {
		delete(l.peers, c.peer)
	}
	c.late.Stop()
	c.place, c.late = nil, nil
	return true
}

type contextKey struct{}

// Context adds a server's connection to the context of its requests. It is for http.Server.ConnContext.
func Context(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if own, ok := c.(*Conn); ok {
		return context.WithValue(ctx, contextKey{}, own)
	}
	return ctx
}

// From gives the connection of a request's context; nil if it is not limited.
func From(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}
