// Package crds keeps the API types that the custom resource definitions of KEDA,
// of the Prometheus operator and of the Gateway API are generated from.
package crds

import (
	_ "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "sigs.k8s.io/gateway-api/apis/v1"
)
