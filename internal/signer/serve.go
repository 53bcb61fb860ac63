package signer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Serve answers calls on a unix socket until ctx ends. See Listen for who may call.
func Serve(ctx context.Context, s Signer, socket string, mode os.FileMode, uids ...int) error {
	in, err := Listen(socket, mode, uids...)
	if err != nil {
		return err
	}
	return ServeOn(ctx, in, Handler(s))
}

// Listen opens the socket. It gets mode; beyond that, the kernel says who calls, and only uids and this process's own
// user are let in: a mode that somebody widened by mistake opens nothing. Root is not among them by itself, but root
// needs no socket.
func Listen(socket string, mode os.FileMode, uids ...int) (net.Listener, error) {
	if err := removeStale(socket); err != nil {
		return nil, err
	}
	in, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("signer socket: %w", err)
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("signer socket: %w", err), in.Close())
	}
	return &peers{Listener: in, uids: append(slices.Clone(uids), os.Getuid())}, nil
}

// ServeOn answers on a socket that Listen opened, until ctx ends.
func ServeOn(ctx context.Context, in net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 8 << 10}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := srv.Serve(in)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	g.Go(func() error {
		<-gctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return srv.Shutdown(ending)
	})
	return g.Wait()
}

// removeStale removes the socket of a signer that is gone. One that answers is not taken over.
func removeStale(socket string) error {
	info, err := os.Lstat(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signer socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("signer socket: %s exists and is no socket", socket)
	}
	if c, err := net.DialTimeout("unix", socket, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("signer socket: another signer answers at %s", socket)
	}
	return os.Remove(socket)
}

// peers drops connections of users who are not in the list.
type peers struct {
	net.Listener
	uids []int
}

func (p *peers) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && slices.Contains(p.uids, uid) {
			return c, nil
		}
		c.Close()
	}
}
