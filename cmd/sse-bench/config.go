package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// workerConfig is what the subscribers' side needs to know. The parent sends it
// to every worker process as JSON; it does not change afterwards.
type workerConfig struct {
	Run            string        `json:"run"` // tells this run's events from all others
	Native         bool          `json:"native"`
	Targets        []string      `json:"targets"`
	Returns        []string      `json:"returns"` // for the return of a storm
	Query          string        `json:"query"`   // added to a gateway's /events?
	Headers        []string      `json:"headers"` // "Name: value"
	Insecure       bool          `json:"insecure"`
	ChannelName    string        `json:"channelName"` // with {n}
	Channels       int           `json:"channels"`
	ChannelsEach   int           `json:"channelsEach"`
	First          int           `json:"first"` // number of this process's first subscriber
	Count          int           `json:"count"`
	Total          int           `json:"total"`
	Engine         string        `json:"engine"`
	Loops          int           `json:"loops"`
	Inflight       int           `json:"inflight"` // of this process
	ConnectRate    float64       `json:"connectRate"`
	ConnectTimeout time.Duration `json:"connectTimeout"`
	Retry          time.Duration `json:"retry"`
	Join           time.Duration `json:"join"`
	FromStart      bool          `json:"fromStart"` // streams replay everything
	Sources        []string      `json:"sources"`
}

// joining tells whether subscribers come while events are being published, so
// that each has to find out where its channels stand.
func (c *workerConfig) joining() bool { return c.Join > 0 && !c.FromStart }

// channelOf returns the index of the channel that is number i of a subscriber.
func (c *workerConfig) channelOf(subscriber, i int) int {
	return (subscriber*c.ChannelsEach + i) % c.Channels
}

// channelName returns the name of a channel by its index.
func (c *workerConfig) channelName(index int) string {
	return strings.ReplaceAll(c.ChannelName, "{n}", strconv.Itoa(index))
}

// offset returns how long after the start of the connect phase a subscriber
// comes.
func (c *workerConfig) offset(index int) time.Duration {
	switch {
	case c.Join > 0:
		return c.Join * time.Duration(index) / time.Duration(c.Total)
	case c.ConnectRate > 0:
		return time.Duration(float64(index) / c.ConnectRate * float64(time.Second))
	}
	return 0
}

func (c *workerConfig) sourceIPs() []net.IP {
	var ips []net.IP
	for _, s := range c.Sources {
		ips = append(ips, net.ParseIP(s))
	}
	return ips
}

// sourceIP returns the source address of a subscriber, nil for any.
func (c *workerConfig) sourceIP(index int) net.IP {
	if len(c.Sources) == 0 {
		return nil
	}
	return net.ParseIP(c.Sources[index%len(c.Sources)])
}

// resolveTargets reads both address lists.
func (c *workerConfig) resolveTargets() (targets, returns []target, err error) {
	if targets, err = c.resolveList(c.Targets); err != nil {
		return nil, nil, err
	}
	if len(c.Returns) == 0 {
		return targets, targets, nil
	}
	returns, err = c.resolveList(c.Returns)
	return targets, returns, err
}

func (c *workerConfig) resolveList(urls []string) ([]target, error) {
	list := make([]target, 0, len(urls))
	for _, u := range urls {
		var t target
		var err error
		if c.Native {
			t, err = newGatewayTarget(u, c.Query)
		} else {
			t, err = newURLTarget(u)
		}
		if err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
		list = append(list, t)
	}
	return list, nil
}
