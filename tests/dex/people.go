package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/dexidp/dex/connector"
	"github.com/dexidp/dex/connector/mock"
	"github.com/dexidp/dex/storage"
	"github.com/sirupsen/logrus"
)

// connectorType names our connector among dex's.
const connectorType = "person"

// people are dex's users, with their current groups.
type people struct {
	mu     sync.Mutex
	groups map[string][]string
}

// set takes NAME=GROUP,GROUP.
func (p *people) set(text string) error {
	name, list, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not NAME=GROUP,GROUP", text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[name] = strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	return nil
}

// of gives a person with their current groups.
func (p *people) of(name string, was connector.Identity) connector.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	was.UserID, was.Username, was.Email, was.Groups = name, name, name+"@dex.example", slices.Clone(p.groups[name])
	return was
}

func (p *people) connectors() []storage.Connector {
	var all []storage.Connector
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		config, _ := json.Marshal(personConfig{Name: name})
		all = append(all, storage.Connector{ID: name, Name: name, Type: connectorType, Config: config})
	}
	return all
}

// personConfig configures dex's connector for one person.
type personConfig struct {
	Name   string `json:"name"`
	people *people
}

// Open implements server.ConnectorConfig.
func (c *personConfig) Open(_ string, log logrus.FieldLogger) (connector.Connector, error) {
	return &person{mock.NewCallbackConnector(log).(*mock.Callback), c.Name, c.people}, nil
}

// person is dex's mockCallback, which asks nothing, with groups that change.
type person struct {
	*mock.Callback
	name   string
	people *people
}

// HandleCallback implements connector.CallbackConnector.
func (p *person) HandleCallback(s connector.Scopes, r *http.Request) (connector.Identity, error) {
	id, err := p.Callback.HandleCallback(s, r)
	return p.people.of(p.name, id), err
}

// Refresh implements connector.RefreshConnector.
func (p *person) Refresh(_ context.Context, _ connector.Scopes, id connector.Identity) (connector.Identity, error) {
	return p.people.of(p.name, id), nil
}
