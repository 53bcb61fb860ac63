//go:build cgo && linux

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/internal/demo"
)

type demoFlags struct {
	Dir       string `type:"path" placeholder:"DIR" help:"Where everything is kept. Default: /var/lib/sallyport-demo, or below your home for an ordinary user."`
	HTTP      string `name:"http" placeholder:"ADDR" help:"Loopback address to listen on. Default: a free port, kept in DIR."`
	SSH       string `name:"ssh" placeholder:"ADDR" help:"Taken and not used yet: the door for stock ssh is not there."`
	Devices   int    `default:"3" help:"How many machines."`
	ReadyFile string `type:"path" placeholder:"FILE" help:"Written, as JSON and by rename, when every machine is online."`
}

type demoCmd struct{ demoFlags }

// Run starts the guard and stays beside it.
func (c *demoCmd) Run(*app) error {
	if err := c.check(); err != nil {
		return err
	}
	args := []string{"--dir", c.Dir, "--devices", fmt.Sprint(c.Devices)}
	if c.HTTP != "" {
		args = append(args, "--http", c.HTTP)
	}
	if c.ReadyFile != "" {
		args = append(args, "--ready-file", c.ReadyFile)
	}
	err := demo.Front(args)
	var status demo.ExitStatus
	if errors.As(err, &status) {
		return exitStatus(status)
	}
	return err
}

func (c *demoFlags) check() error {
	if c.Dir == "" {
		c.Dir = "/var/lib/sallyport-demo"
		if os.Getuid() != 0 {
			home, err := os.UserHomeDir()
			if err != nil {
				return err
			}
			c.Dir = filepath.Join(home, ".local", "share", "sallyport-demo")
		}
	}
	return demo.CheckAddr(c.HTTP, c.Devices)
}

type demoGuardCmd struct{ demoFlags }

func (c *demoGuardCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	return demo.Guard(a.context(), demo.Options{Dir: c.Dir, Addr: c.HTTP, Devices: c.Devices, Ready: c.ReadyFile, Out: a.stdout, Err: a.stderr})
}

type demoGatewayCmd struct {
	Dir string `required:"" type:"path"`
}

func (c *demoGatewayCmd) Run(a *app) error {
	return demo.ServeGateway(a.context(), c.Dir, slog.New(slog.NewTextHandler(a.stderr, nil)))
}
