// Package redisurl reads the URL of a Redis and makes go-redis options from it.
//
// A URL names one server, the sentinels of a master, or nodes of a cluster:
//
//	redis://user:password@host:6379/0
//	unix://user:password@/path/to/socket?db=0
//	redis+sentinel://host:26379,host:26379/0?master=NAME&sentinel_user=U&sentinel_password=P
//	redis+cluster://host:6379,host:6379
//
// The schemes rediss, rediss+sentinel and rediss+cluster mean TLS. Their
// parameters ca, cert and key name PEM files, and server_name replaces the host
// in the check of the server's certificate.
//
// Errors name no password, nor a part of a URL that may be one: of
// redis://user:pa/ss@host the host is "user" to a parser, and the password is in
// three parts of the URL.
package redisurl
