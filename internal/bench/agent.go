package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var targets = []string{"amd64", "arm64", "arm", "mipsle", "riscv64"}

// agents measures the program that customers get: its size for every system it is built for, as `make agents` builds it, and its
// memory on an idle machine.
func agents(b *bench) ([]row, error) {
	var each []string
	largest, packed := int64(0), 0
	cmd := exec.Command("make", "-s", "agents", "OUT="+b.dir)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make agents: %w\n%s", err, out)
	}
	for _, arch := range targets {
		info, err := os.Stat(filepath.Join(b.dir, "sallyport-agent-linux-"+arch))
		if err != nil {
			return nil, err
		}
		xz, err := exec.Command("xz", "-9", "-c", filepath.Join(b.dir, "sallyport-agent-linux-"+arch)).Output()
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		largest, packed = max(largest, info.Size()), max(packed, len(xz))
		each = append(each, fmt.Sprintf("%s %.2f", arch, float64(info.Size())/1e6))
	}
	d, err := b.demo(strict)
	if err != nil {
		return nil, err
	}
	pid := d.devices["press-3"] // nobody has opened a session on it
	rss, anon := rollup(pid, "Rss"), rollup(pid, "Anonymous")
	return []row{
		{"Agent, stripped, the largest of five", "<= 10 MB", fmt.Sprintf("%.2f MB", float64(largest)/1e6),
			strings.Join(each, ", "), "", met(largest <= 10e6)},
		{"The same, packed with xz", "<= 3 MB", fmt.Sprintf("%.2f MB", mb(packed)), "-", "", met(packed <= 3e6)},
		{"Agent, idle: RSS", "<= 10 MB", fmt.Sprintf("%.1f MB", mb(rss)), "-", "", met(rss <= 10e6)},
		{"Agent, idle: anonymous memory", "<= 2 MB", fmt.Sprintf("%.1f MB", mb(anon)), "-", "", met(anon <= 2e6)},
	}, nil
}

var parts = regexp.MustCompile(`(?:<script[^>]*\ssrc|<link[^>]*\srel="(?:stylesheet|modulepreload)"[^>]*\shref)="([^"]+)"`)

// frontPage adds up what a browser loads before anybody has signed in, as it comes over the wire.
func frontPage(b *bench) ([]row, error) {
	d, err := b.demo(strict)
	if err != nil {
		return nil, err
	}
	page, size, header, err := fetch(d.url + "/")
	if err != nil {
		return nil, err
	}
	shown := []string{fmt.Sprintf("page %.1f", float64(size)/1e3)}
	for _, m := range parts.FindAllStringSubmatch(page, -1) {
		u, err := url.JoinPath(d.url, m[1])
		if err != nil {
			return nil, err
		}
		_, n, _, err := fetch(u)
		if err != nil {
			return nil, err
		}
		size += n
		shown = append(shown, fmt.Sprintf("%s %.1f", filepath.Base(m[1]), float64(n)/1e3))
	}
	csp := header.Get("Content-Security-Policy")
	strictly := strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "default-src 'self'")
	return []row{{"Front page before login, gzip", "<= 15 KB, strict CSP", fmt.Sprintf("%.1f KB, `%s`", float64(size)/1e3, csp), strings.Join(shown, ", "), "",
		met(size <= 15e3 && strictly && !strings.Contains(csp, "script-src 'unsafe-inline'"))}}, nil
}

// fetch gives a page and how many bytes its body was on the wire.
func fetch(address string) (string, int, http.Header, error) {
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		return "", 0, nil, err
	}
	req.Header.Set("Accept-Encoding", "gzip") // set by hand, so that the library leaves the body as it came
	c := http.Client{Timeout: 10 * time.Second}
	resp, err := c.Do(req)
	if err != nil {
		return "", 0, nil, err
	}
	defer resp.Body.Close()
	count := &counter{r: resp.Body}
	var body io.Reader = count
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(count); err != nil {
			return "", 0, nil, err
		}
	}
	text, err := io.ReadAll(body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, resp.Status)
	}
	return string(text), count.n, resp.Header, err
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
