package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"github.com/sallyport/sallyport/internal/agent"
	"github.com/sallyport/sallyport/internal/errkind"
)

// hidePasswords returns a copy of the arguments and overwrites the passwords of URLs in the originals: any user of the
// device can read them in /proc/PID/cmdline, which shows the memory of the strings in os.Args.
func hidePasswords(args []string) []string {
	own := make([]string, len(args))
	for i, arg := range args {
		own[i] = strings.Clone(arg)
		from, to := passwordIn(arg)
		memory := unsafe.Slice(unsafe.StringData(arg), len(arg))
		for j := from; j < to; j++ {
			memory[j] = 'x'
		}
	}
	return own
}

// passwordIn finds the text between the user's colon and the last @ of a URL, even if the URL does not parse. Without a
// colon it is everything before the @.
func passwordIn(arg string) (from, to int) {
	to = strings.LastIndexByte(arg, '@')
	if to < 0 {
		return 0, 0
	}
	if i := strings.Index(arg[:to], "://"); i >= 0 {
		from = i + 3
	}
	if i := strings.IndexByte(arg[from:to], ':'); i >= 0 {
		from += i + 1
	}
	return from, to
}

// proxy shows, keeps or removes the proxy of this device.
func proxy(cfg agent.Config, args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 0 || len(args) == 1 && args[0] == "show":
		return showProxy(cfg, out)
	case len(args) == 1 && args[0] == "off":
		if err := agent.KeepProxy(cfg.State, ""); err != nil {
			return err
		}
		fmt.Fprintln(out, "The device no longer keeps a proxy.")
		return nil
	case args[0] == "set" && len(args) <= 2:
		return setProxy(cfg, args[1:], in, out)
	}
	return errkind.New(errkind.Usage, "proxy is followed by show, set or off").
		WithHint("`sallyport-agent help` lists the commands.")
}

func showProxy(cfg agent.Config, out io.Writer) error {
	st, err := agent.Look(cfg.State)
	if err != nil {
		return err
	}
	if st.Proxy == "" {
		st.Proxy = "none"
	}
	fmt.Fprintln(out, st.Proxy)
	return nil
}

// setProxy takes the URL from the argument, --proxy, --proxy-file or standard input.
func setProxy(cfg agent.Config, args []string, in io.Reader, out io.Writer) error {
	text := cfg.Proxy
	switch {
	case len(args) == 1:
		text = args[0]
	case cfg.ProxyFile != "":
		raw, err := os.ReadFile(cfg.ProxyFile)
		if err != nil {
			return errkind.New(errkind.Usage, fmt.Sprintf("--proxy-file: %v", err))
		}
		text = string(raw)
	case text == "":
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read standard input: %w", err)
		}
		text = line
	}
	if strings.TrimSpace(text) == "" {
		return errkind.New(errkind.Usage, "the proxy is missing").
			WithHint("Give a URL on standard input or with --proxy-file FILE; `sallyport-agent proxy off` removes it.")
	}
	if err := agent.KeepProxy(cfg.State, text); err != nil {
		return err
	}
	fmt.Fprintln(out, "Kept. The next connection uses it; a line that is up stays.")
	return nil
}
