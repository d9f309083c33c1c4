// The paths of the rpcs of Leasehold's own services, as requests name them.
import { LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceService } from '../../generated/leasehold/v1/operation_store_service.ts';

export function rpcPaths(): readonly string[] {
  const services = [LockServiceService, OperationStoreServiceService];
  return services.flatMap((service) => Object.values(service).map(({ path }) => path));
}
