// What pytest-llmops needs in Azure: a workspace, the identity that deployed flows run as, and who may do what.
//
//   az deployment group create --resource-group RESOURCE_GROUP --template-file infra/main.bicep \
//     --parameters name=NAME pipelinePrincipalId=OBJECT_ID
//
// The pipeline's principal gets no right to change roles or the workspace itself.

@description('What all names begin with: 3 to 11 lower-case letters and digits, starting with a letter.')
@minLength(3)
@maxLength(11)
param name string

@description('Region of everything.')
param location string = resourceGroup().location

@description('Object id of the service principal behind the service connection of the pipeline; empty to grant nothing.')
param pipelinePrincipalId string = ''

@description('Whether the workspace and what belongs to it can be reached from the internet, as hosted agents need.')
@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Enabled'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

// Names of storage accounts, key vaults and registries are unique in the world.
var suffix = uniqueString(resourceGroup().id, name)

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: logRetentionDays
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: take('${name}${suffix}', 24)
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: publicNetworkAccess
    supportsHttpsTrafficOnly: true
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: take('${name}-${suffix}', 24)
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enablePurgeProtection: true
    enableRbacAuthorization: true
    enableSoftDelete: true
    publicNetworkAccess: publicNetworkAccess
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: '${name}${suffix}'
  location: location
  sku: {
    // Premium alone can be closed to the internet.
    name: publicNetworkAccess == 'Enabled' ? 'Standard' : 'Premium'
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: publicNetworkAccess
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = {
  name: '${name}-workspace'
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: name
    applicationInsights: insights.id
    containerRegistry: registry.id
    keyVault: vault.id
    storageAccount: storage.id
    publicNetworkAccess: publicNetworkAccess
  }
}

// Deployed flows run as this one, so roles are given once and not to each new endpoint.
resource endpointIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-endpoint'
  location: location
}

module endpointRoles 'endpoint-roles.bicep' = {
  name: 'endpoint-roles'
  params: {
    principalId: endpointIdentity.properties.principalId
    workspaceName: workspace.name
    storageName: storage.name
    registryName: registry.name
  }
}

module pipelineRoles 'pipeline-roles.bicep' = if (!empty(pipelinePrincipalId)) {
  name: 'pipeline-roles'
  params: {
    principalId: pipelinePrincipalId
    workspaceName: workspace.name
    storageName: storage.name
    endpointIdentityName: endpointIdentity.name
  }
}

@description('Value of --workspace.')
output workspace string = workspace.name

@description('Value of the key identity of a deployment.')
output endpointIdentity string = endpointIdentity.id

@description('Registry of container images, for web apps.')
output registry string = registry.name
