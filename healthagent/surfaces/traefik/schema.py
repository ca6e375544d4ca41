"""Which ``traefik.http.*`` labels Traefik takes, and of which type each value is.

Traefik's HTTP provider refuses a whole configuration for one field that it does not know or one
value that it cannot read, and then keeps routing by the one before: one replica's misspelt label
would freeze every service. So only what stands here is passed on. The fields are those of Traefik
v3.7 ("Dynamic configuration reference", Docker labels); a contract test shows each to the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Leaf(Enum):
    """What the text of a label stands for."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    LIST = auto()  # texts with commas between
    DURATION = auto()  # 10s, 1m30s, 250ms, or a plain number of seconds
    ANYTHING = auto()  # a tree of texts under free names, as plugins have


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from free names, such as headers, to values of one type."""

    of: Leaf


@dataclass(frozen=True, slots=True)
class Indexed:
    """A list of structures, written ``name[0].field``."""

    of: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Switch:
    """A structure that may be switched on as it is, by ``true``."""

    of: Mapping[str, Any]


Shape = Leaf | Named | Indexed | Switch | Mapping[str, Any]
"""What may stand at a place: a value, or a structure of further places by their names."""

TEXT, NUMBER, FLAG = Leaf.TEXT, Leaf.NUMBER, Leaf.FLAG
LIST, DURATION, ANYTHING = Leaf.LIST, Leaf.DURATION, Leaf.ANYTHING

ROUTER: Mapping[str, Shape] = {
    "entryPoints": LIST,
    "middlewares": LIST,
    "service": TEXT,
    "rule": TEXT,
    "ruleSyntax": TEXT,
    "priority": NUMBER,
    "tls": Switch(
        {"options": TEXT, "certResolver": TEXT, "domains": Indexed({"main": TEXT, "sans": LIST})}
    ),
    "observability": {"accessLogs": FLAG, "metrics": FLAG, "tracing": FLAG, "traceVerbosity": TEXT},
}

COOKIE: Mapping[str, Shape] = {
    "name": TEXT,
    "secure": FLAG,
    "httpOnly": FLAG,
    "sameSite": TEXT,
    "maxAge": NUMBER,
    "path": TEXT,
    "domain": TEXT,
}

SERVER: Mapping[str, Shape] = {
    "port": NUMBER,
    "scheme": TEXT,
    "url": TEXT,
    "weight": NUMBER,
    "preservePath": FLAG,
}
"""What each replica says of itself: it becomes an entry of ``servers``, not a field of its own."""

SERVICE: Mapping[str, Shape] = {
    "middlewares": LIST,
    "loadBalancer": {
        "server": SERVER,
        "strategy": TEXT,
        "passHostHeader": FLAG,
        "serversTransport": TEXT,
        "sticky": Switch({"cookie": Switch(COOKIE)}),
        "responseForwarding": {"flushInterval": DURATION},
        "passiveHealthCheck": {"failureWindow": DURATION, "maxFailedAttempts": NUMBER},
        "healthCheck": {
            "scheme": TEXT,
            "mode": TEXT,
            "path": TEXT,
            "method": TEXT,
            "status": NUMBER,
            "port": NUMBER,
            "interval": DURATION,
            "unhealthyInterval": DURATION,
            "timeout": DURATION,
            "hostname": TEXT,
            "followRedirects": FLAG,
            "headers": Named(TEXT),
        },
    },
}

IP_STRATEGY: Mapping[str, Shape] = {"depth": NUMBER, "excludedIPs": LIST, "ipv6Subnet": NUMBER}

SOURCE: Mapping[str, Shape] = {
    "ipStrategy": IP_STRATEGY,
    "requestHeaderName": TEXT,
    "requestHost": FLAG,
}

AUTHENTICATION: Mapping[str, Shape] = {
    "users": LIST,
    "usersFile": TEXT,
    "realm": TEXT,
    "removeHeader": FLAG,
    "headerField": TEXT,
}

DISTINGUISHED_NAME: Mapping[str, Shape] = {
    "country": FLAG,
    "province": FLAG,
    "locality": FLAG,
    "organization": FLAG,
    "commonName": FLAG,
    "serialNumber": FLAG,
    "domainComponent": FLAG,
}

CLIENT_TLS: Mapping[str, Shape] = {
    "ca": TEXT,
    "cert": TEXT,
    "key": TEXT,
    "insecureSkipVerify": FLAG,
}

HEADERS: Mapping[str, Shape] = {
    "customRequestHeaders": Named(TEXT),
    "customResponseHeaders": Named(TEXT),
    "accessControlAllowCredentials": FLAG,
    "accessControlAllowHeaders": LIST,
    "accessControlAllowMethods": LIST,
    "accessControlAllowOriginList": LIST,
    "accessControlAllowOriginListRegex": LIST,
    "accessControlExposeHeaders": LIST,
    "accessControlMaxAge": NUMBER,
    "addVaryHeader": FLAG,
    "allowedHosts": LIST,
    "hostsProxyHeaders": LIST,
    "sslProxyHeaders": Named(TEXT),
    "sslRedirect": FLAG,
    "sslTemporaryRedirect": FLAG,
    "sslHost": TEXT,
    "sslForceHost": FLAG,
    "stsSeconds": NUMBER,
    "stsIncludeSubdomains": FLAG,
    "stsPreload": FLAG,
    "forceSTSHeader": FLAG,
    "frameDeny": FLAG,
    "customFrameOptionsValue": TEXT,
    "contentTypeNosniff": FLAG,
    "browserXssFilter": FLAG,
    "customBrowserXSSValue": TEXT,
    "contentSecurityPolicy": TEXT,
    "contentSecurityPolicyReportOnly": TEXT,
    "publicKey": TEXT,
    "referrerPolicy": TEXT,
    "permissionsPolicy": TEXT,
    "featurePolicy": TEXT,
    "isDevelopment": FLAG,
}

MIDDLEWARE: Mapping[str, Shape] = {
    "addPrefix": {"prefix": TEXT},
    "basicAuth": AUTHENTICATION,
    "buffering": {
        "maxRequestBodyBytes": NUMBER,
        "memRequestBodyBytes": NUMBER,
        "maxResponseBodyBytes": NUMBER,
        "memResponseBodyBytes": NUMBER,
        "retryExpression": TEXT,
    },
    "chain": {"middlewares": LIST},
    "circuitBreaker": {
        "expression": TEXT,
        "checkPeriod": DURATION,
        "fallbackDuration": DURATION,
        "recoveryDuration": DURATION,
        "responseCode": NUMBER,
    },
    "compress": Switch(
        {
            "excludedContentTypes": LIST,
            "includedContentTypes": LIST,
            "minResponseBodyBytes": NUMBER,
            "encodings": LIST,
            "defaultEncoding": TEXT,
        }
    ),
    "contentType": Switch({"autoDetect": FLAG}),
    "digestAuth": AUTHENTICATION,
    "encodedCharacters": {
        "allowEncodedSlash": FLAG,
        "allowEncodedBackSlash": FLAG,
        "allowEncodedNullCharacter": FLAG,
        "allowEncodedSemicolon": FLAG,
        "allowEncodedPercent": FLAG,
        "allowEncodedQuestionMark": FLAG,
        "allowEncodedHash": FLAG,
    },
    "errors": {
        "status": LIST,
        "statusRewrites": Named(NUMBER),
        "service": TEXT,
        "query": TEXT,
        "errorRequestHeaders": LIST,
    },
    "forwardAuth": {
        "address": TEXT,
        "tls": {**CLIENT_TLS, "caOptional": FLAG},
        "trustForwardHeader": FLAG,
        "authResponseHeaders": LIST,
        "authResponseHeadersRegex": TEXT,
        "authRequestHeaders": LIST,
        "maxResponseBodySize": NUMBER,
        "addAuthCookiesToResponse": LIST,
        "headerField": TEXT,
        "forwardBody": FLAG,
        "maxBodySize": NUMBER,
        "preserveLocationHeader": FLAG,
        "preserveRequestMethod": FLAG,
        "authSigninURL": TEXT,
    },
    "grpcWeb": {"allowOrigins": LIST},
    "headers": HEADERS,
    "ipAllowList": {
        "sourceRange": LIST,
        "ipStrategy": Switch(IP_STRATEGY),
        "rejectStatusCode": NUMBER,
    },
    "ipWhiteList": {"sourceRange": LIST, "ipStrategy": Switch(IP_STRATEGY)},
    "inFlightReq": {"amount": NUMBER, "sourceCriterion": SOURCE},
    "passTLSClientCert": {
        "pem": FLAG,
        "info": {
            "notAfter": FLAG,
            "notBefore": FLAG,
            "sans": FLAG,
            "serialNumber": FLAG,
            "subject": {**DISTINGUISHED_NAME, "organizationalUnit": FLAG},
            "issuer": DISTINGUISHED_NAME,
        },
    },
    "plugin": ANYTHING,
    "rateLimit": {
        "average": NUMBER,
        "period": DURATION,
        "burst": NUMBER,
        "sourceCriterion": SOURCE,
        "redis": {
            "endpoints": LIST,
            "tls": CLIENT_TLS,
            "username": TEXT,
            "password": TEXT,
            "db": NUMBER,
            "poolSize": NUMBER,
            "minIdleConns": NUMBER,
            "maxActiveConns": NUMBER,
            "readTimeout": DURATION,
            "writeTimeout": DURATION,
            "dialTimeout": DURATION,
        },
    },
    "redirectRegex": {"regex": TEXT, "replacement": TEXT, "permanent": FLAG},
    "redirectScheme": {"scheme": TEXT, "port": TEXT, "permanent": FLAG},
    "replacePath": {"path": TEXT},
    "replacePathRegex": {"regex": TEXT, "replacement": TEXT},
    "retry": {
        "attempts": NUMBER,
        "initialInterval": DURATION,
        "timeout": DURATION,
        "maxRequestBodyBytes": NUMBER,
        "status": LIST,
        "disableRetryOnNetworkError": FLAG,
        "retryNonIdempotentMethod": FLAG,
    },
    "stripPrefix": {"prefixes": LIST, "forceSlash": FLAG},
    "stripPrefixRegex": {"regex": LIST},
}

KINDS: Mapping[str, Mapping[str, Shape]] = {
    "routers": ROUTER,
    "services": SERVICE,
    "middlewares": MIDDLEWARE,
}
